"""Overclustering: how well do k-means clusters of patch tokens follow the classes?

All tokens of the set are standardised, reduced by PCA and clustered by k-means; no label is seen
until clusters are named. K = number of classes is matched one to one, a larger K many to one
(Leopart: Ziegler & Asano, CVPR 2022, section 4 and appendix).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from leopart_kit.metrics import match_hungarian, match_many_to_one

Rule = Literal["hungarian_iou", "hungarian_count", "many_to_one_precision", "many_to_one_iou"]
RULES: tuple[Rule, ...] = (
    "hungarian_iou",
    "hungarian_count",
    "many_to_one_precision",
    "many_to_one_iou",
)


@dataclass(frozen=True)
class Overclustering:
    """The protocol's numbers; the defaults are the paper's.

    Attributes:
        num_clusters: K; `None` takes the number of classes.
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
        matching: how clusters get classes; `None` takes `hungarian_iou` for K = number of
            classes and `many_to_one_precision` for more clusters.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    num_clusters: int | None = None
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
    matching: Rule | None = None

    name: str = field(default="overclustering", init=False)

    def __post_init__(self) -> None:
        for name in ("num_clusters", "pca_dim", "max_points_per_cluster"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), minimum=1)
        check_whole("num_iterations", self.num_iterations, minimum=1)
        check_whole("num_restarts", self.num_restarts, minimum=1)
        _check_list("seeds", self.seeds, minimum=0)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be distinct and at least one, got {list(self.seeds)}")
        for name in ("resolution", "score_resolution"):
            _check_list(name, getattr(self, name), minimum=1)
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name} must be [H, W], got {list(getattr(self, name))}")
        _check_choice("standardize", self.standardize, (True, False))
        _check_choice("l2_normalize", self.l2_normalize, (True, False))
        _check_choice("engine", self.engine, ("leopart_kit", "faiss"))
        _check_choice("metric", self.metric, ("euclidean", "spherical"))
        if self.matching is not None:
            _check_choice("matching", self.matching, RULES)

    def resolve_num_clusters(self, num_classes: int) -> int:
        """K for a set of `num_classes` classes (0 where there are no masks)."""
        if self.num_clusters is not None:
            return self.num_clusters
        if num_classes == 0:
            raise ValueError("without masks there is no number of classes: set num_clusters")
        return num_classes

    def resolve_rule(self, num_classes: int) -> Rule:
        """The matching rule for a set of `num_classes` classes."""
        if self.matching is not None:
            return self.matching
        overclustered = self.resolve_num_clusters(num_classes) > num_classes
        return "many_to_one_precision" if overclustered else "hungarian_iou"


def match_clusters(counts: Tensor, rule: Rule, unmatched: int) -> Tensor:
    """Class of each cluster `[K]` from counts `[C, K]` by a named rule."""
    if rule.startswith("hungarian"):
        return match_hungarian(counts, "iou" if rule == "hungarian_iou" else "count", unmatched)
    return match_many_to_one(counts, "iou" if rule == "many_to_one_iou" else "precision")


def check_whole(name: str, value: object, minimum: int) -> None:
    """Raise `ValueError` unless a setting is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def _check_list(name: str, values: object, minimum: int) -> None:
    if not isinstance(values, tuple | list):
        raise ValueError(f"{name} must be a list in square brackets, got {values!r}")
    for value in values:
        check_whole(name, value, minimum)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    # By identity of type too: 1 == True.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        listing = ", ".join(str(choice).lower() for choice in choices)
        raise ValueError(f"{name} must be one of {listing}, got {value!r}")
