"""Settings that protocols share, and the checks that name a wrong one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TokenClustering:
    """How patch tokens are prepared and clustered by k-means; the defaults are Leopart's.

    Attributes:
        seeds: one k-means each; figures are mean and standard deviation over them.
        resolution: `(H, W)` to which images are resized, in pixels.
        score_resolution: `(H, W)` at which the headline is scored; masks are also scored at full
            size, and both are reported.
        standardize: zero mean, unit variance of each dimension over the set.
        pca_dim: dimensions kept; `None` keeps all.
        l2_normalize: scale every token to length 1 before anything else.
        engine: `leopart_kit` or `faiss`.
        metric: `euclidean` or `spherical` k-means.
        max_points_per_cluster: k-means is trained on at most this many points a cluster, drawn
            by seed; `None` trains on all. faiss and the papers use 256.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    resolution: tuple[int, int] = (448, 448)
    score_resolution: tuple[int, int] = (100, 100)
    standardize: bool = True
    pca_dim: int | None = 50
    l2_normalize: bool = False
    engine: Literal["leopart_kit", "faiss"] = "leopart_kit"
    metric: Literal["euclidean", "spherical"] = "euclidean"
    num_iterations: int = 100
    num_restarts: int = 5
    max_points_per_cluster: int | None = None

    def __post_init__(self) -> None:
        for name in ("pca_dim", "max_points_per_cluster"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), minimum=1)
        check_whole("num_iterations", self.num_iterations, minimum=1)
        check_whole("num_restarts", self.num_restarts, minimum=1)
        check_seeds(self.seeds)
        for name in ("resolution", "score_resolution"):
            check_size(name, getattr(self, name))
        check_choice("standardize", self.standardize, (True, False))
        check_choice("l2_normalize", self.l2_normalize, (True, False))
        check_choice("engine", self.engine, ("leopart_kit", "faiss"))
        check_choice("metric", self.metric, ("euclidean", "spherical"))


def check_whole(name: str, value: object, minimum: int) -> None:
    """Raise `ValueError` unless a setting is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise `ValueError` unless a setting is a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}")


def check_seeds(seeds: object) -> None:
    """Raise `ValueError` unless `seeds` are distinct whole numbers, at least one."""
    values = check_list("seeds", seeds, minimum=0)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"seeds must be distinct and at least one, got {list(values)}")


def check_size(name: str, size: object) -> None:
    """Raise `ValueError` unless a setting is `(H, W)`."""
    values = check_list(name, size, minimum=1)
    if len(values) != 2:
        raise ValueError(f"{name} must be [H, W], got {list(values)}")


def check_list(name: str, values: object, minimum: int) -> tuple[int, ...]:
    """The whole numbers of a list; raises `ValueError` for anything else."""
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a list in square brackets, got {values!r}")
    for value in values:
        check_whole(name, value, minimum)
    return tuple(values)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise `ValueError` unless a setting is one of `choices`."""
    # By identity of type too: 1 == True.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        listing = ", ".join(str(choice).lower() for choice in choices)
        raise ValueError(f"{name} must be one of {listing}, got {value!r}")
