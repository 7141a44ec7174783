"""Choosing how many parts, what is an edge and how far to merge: without labels, or with them.

Without labels a choice is good if other images lead to the same objects (stability) and if the
graph falls into communities at all (modularity). Few parts may be left out (coverage), and there
should be about as many objects as were asked for. With labels it is the paper's search: the best
mIoU on the ground truth of the training images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.evaluation.protocols.unsupervised.part_graph import (
    Merging,
    PartGraph,
    objects_of,
)
from leopart_kit.metrics import segmentation_scores
from leopart_kit.metrics.scores import match_clusters
from leopart_kit.progress import Track, quiet
from leopart_kit.settings import Count, Counts, Positives, settings


@settings
class SearchSpace:
    """Values that are tried."""

    num_clusters: Counts = (75, 100, 150, 200)
    """Numbers of parts."""
    edge_thresholds: Positives = (0.01, 0.02, 0.03, 0.05, 0.07, 0.09, 0.12)
    """Smallest shares of each other's neighbours for an edge."""
    markov_times: Positives = (0.4, 0.7, 1.0, 1.5, 2.0)
    """Markov times of Infomap, or resolutions of Louvain."""
    num_resamples: Count = 5
    """Of the images, for the stability of each combination."""


@dataclass(frozen=True)
class Candidate:
    """One combination: K, the merging, its score and what the score is made of."""

    num_clusters: int
    merging: Merging
    score: float
    parts: dict[str, Any]


def candidates(
    graphs: Callable[[int], PartGraph],
    space: SearchSpace,
    fixed: Merging,
    rate: Callable[[int, PartGraph, Merging], tuple[float, dict[str, Any]]],
    track: Track = quiet,
) -> list[Candidate]:
    """Rate every combination of a search space; the best one comes first.

    Args:
        graphs: the graph for a number of parts.
        fixed: what is the same for all.
        rate: score of a combination, larger is better, and what it is made of.
    """
    found = []
    for num_clusters in track(space.num_clusters, "choosing", len(space.num_clusters)):
        graph = graphs(num_clusters)
        for threshold, time in product(space.edge_thresholds, space.markov_times):
            merging = replace(fixed, edge_threshold=threshold, markov_time=time, resolution=time)
            score, parts = rate(num_clusters, graph, merging)
            found.append(Candidate(num_clusters, merging, score, parts))
    # Sorting is stable: of equals the first, with the fewest parts, wins.
    return sorted(found, key=lambda candidate: -candidate.score)


def rate_without_labels(
    num_resamples: int, seed: int
) -> Callable[[int, PartGraph, Merging], tuple[float, dict[str, Any]]]:
    """See `PartGraph.assess`."""

    def rate(num_clusters: int, graph: PartGraph, merging: Merging) -> tuple[float, dict[str, Any]]:
        found = graph.assess(merging, num_resamples, seed)
        return found.score, {
            "stability": found.stability,
            "coverage": found.coverage,
            **asdict(found.quality),
        }

    return rate


def rate_with_labels(
    counts: Callable[[int], Tensor], unmatched: int, seed: int
) -> Callable[[int, PartGraph, Merging], tuple[float, dict[str, Any]]]:
    """mIoU on labelled images after Hungarian matching of the objects.

    Args:
        counts: pixels `[C, K + 1]` of every class and part, for a number of parts.
        unmatched: class of an object that gets none, see `match_hungarian`.
    """

    def rate(num_clusters: int, graph: PartGraph, merging: Merging) -> tuple[float, dict[str, Any]]:
        objects = objects_of(graph.communities(merging, seed)[0])
        pixels = merged_counts(counts(num_clusters), objects)
        classes = match_clusters(pixels, "hungarian_iou", unmatched)
        score = float(segmentation_scores(pixels, classes).miou)
        return score, {"num_communities": int(objects.max())}

    return rate


def merged_counts(counts: Tensor, objects: np.ndarray) -> Tensor:
    """Pixels `[C, K + 1]` of parts → `[C, objects]`."""
    merged = torch.zeros(counts.shape[0], int(objects.max()) + 1, dtype=counts.dtype)
    return merged.index_add_(1, torch.from_numpy(objects), counts)


def table(found: Sequence[Candidate], limit: int = 10) -> list[dict[str, Any]]:
    """The best candidates as plain records, for the result."""
    return [
        {
            "num_clusters": candidate.num_clusters,
            "edge_threshold": candidate.merging.edge_threshold,
            "markov_time": candidate.merging.markov_time,
            "score": candidate.score,
            **candidate.parts,
        }
        for candidate in found[:limit]
    ]
