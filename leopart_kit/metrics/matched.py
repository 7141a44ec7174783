"""Classes of clusters and the scores that they give, from joint counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from leopart_kit.metrics.matching import match_hungarian, match_many_to_one
from leopart_kit.metrics.scores import SegmentationScores, segmentation_scores

Rule = Literal["hungarian", "many_to_one"]


@dataclass(frozen=True)
class Match:
    """Classes of clusters with the scores that they give.

    Attributes:
        cluster_to_class: int64 `[K]`.
        scores: see `SegmentationScores`, rates in percent.
        counts: int64 `[C, K]`, pixels of class c in cluster k.
    """

    cluster_to_class: Tensor
    scores: SegmentationScores
    counts: Tensor


def match_counts(counts: Tensor, rule: Rule | None = None, unmatched: int = 0) -> Match:
    """Classes for clusters, and the scores.

    Args:
        counts: int64 `[C, K]`.
        rule: `hungarian`, one cluster a class by IoU; `many_to_one`, each cluster its class of
            highest precision. By default the former for K = C or fewer, as papers do.
        unmatched: class of the clusters that are left over; -1 is wrong everywhere.

    Raises:
        ValueError: no pixel that counts, or a rule that there is not.
    """
    num_classes, num_clusters = counts.shape
    if rule is None:
        rule = "hungarian" if num_clusters <= num_classes else "many_to_one"
    if rule == "hungarian":
        classes = match_hungarian(counts, unmatched=unmatched)
    elif rule == "many_to_one":
        classes = match_many_to_one(counts)
    else:
        raise ValueError(f"unknown rule {rule!r}; choose hungarian or many_to_one")
    return Match(classes, segmentation_scores(counts, classes), counts)
