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
        if self.num_clusters is not None and self.num_clusters < 1:
            raise ValueError(f"num_clusters must be at least 1, got {self.num_clusters}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be distinct and at least one, got {list(self.seeds)}")
        if min(*self.resolution, *self.score_resolution) < 1:
            raise ValueError("resolution and score_resolution must be positive pixel counts")
        if self.engine not in ("leopart_kit", "faiss"):
            raise ValueError(f"engine must be leopart_kit or faiss, got {self.engine!r}")
        if self.metric not in ("euclidean", "spherical"):
            raise ValueError(f"metric must be euclidean or spherical, got {self.metric!r}")
        if self.matching is not None and self.matching not in RULES:
            raise ValueError(f"matching must be one of {', '.join(RULES)}, got {self.matching!r}")

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
    method, criterion = rule.rsplit("_", 1)
    if method == "hungarian":
        return match_hungarian(counts, criterion=criterion, unmatched=unmatched)
    return match_many_to_one(counts, criterion=criterion)
