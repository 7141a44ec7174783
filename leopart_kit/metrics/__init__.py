"""Confusion counts, matching rules, scores, outlines, foreground and confidence intervals."""

from leopart_kit.metrics.bootstrap import (
    Intervals,
    PairedComparison,
    PairedDifference,
    bootstrap_intervals,
    paired_bootstrap,
)
from leopart_kit.metrics.boundaries import BoundaryCounts, boundary_counts
from leopart_kit.metrics.counts import ConfusionMatrix, PerImageCounts
from leopart_kit.metrics.foreground_overlap import foreground_jaccard
from leopart_kit.metrics.scores import (
    Match,
    SegmentationScores,
    match_counts,
    match_hungarian,
    match_many_to_one,
    segmentation_scores,
    summarize,
)
from leopart_kit.metrics.unsupervised_miou import UnsupervisedMIoU

__all__ = [
    "BoundaryCounts",
    "ConfusionMatrix",
    "Intervals",
    "Match",
    "PairedComparison",
    "PairedDifference",
    "PerImageCounts",
    "SegmentationScores",
    "UnsupervisedMIoU",
    "bootstrap_intervals",
    "boundary_counts",
    "foreground_jaccard",
    "match_counts",
    "match_hungarian",
    "match_many_to_one",
    "paired_bootstrap",
    "segmentation_scores",
    "summarize",
]
