"""Confusion counts, matching rules, scores, outlines, foreground and confidence intervals."""

from leopart_kit.metrics.bootstrap import (
    Intervals,
    PairedComparison,
    PairedDifference,
    bootstrap_intervals,
    paired_bootstrap,
)
from leopart_kit.metrics.boundaries import BoundaryCounts, boundary_counts
from leopart_kit.metrics.confusion import ConfusionMatrix
from leopart_kit.metrics.foreground_overlap import foreground_jaccard
from leopart_kit.metrics.matched import Match, match_counts
from leopart_kit.metrics.matching import match_hungarian, match_many_to_one
from leopart_kit.metrics.per_image import PerImageCounts
from leopart_kit.metrics.scores import SegmentationScores, segmentation_scores, summarize
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
