"""Parts and the graph of which parts lie beside each other, with resamples of the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering import (
    CooccurrenceSums,
    PartitionQuality,
    detect_communities,
    mutual_edges,
    partition_quality,
    partition_stability,
)
from leopart_kit.evaluation.scores.resizing import resize_labels

CommunityMethod = Literal["infomap", "louvain"]
Neighbourhood = Literal["symmetric", "as_released"]

NUM_BLOCKS = 10
BLOCKS_DRAWN = 6
NUM_TRIALS = 10  # a single search often ends in a poor partition, which would pass for instability


@dataclass(frozen=True)
class Merging:
    """The step from parts to objects: its edges, and its search for communities.

    Attributes:
        edge_threshold: two parts are joined where each makes up at least this share of the
            other's neighbours.
        markov_time: of Infomap; larger gives larger communities.
        resolution: of Louvain; larger gives smaller communities.
        preferred_communities: what Infomap is drawn towards.
    """

    edge_threshold: float
    markov_time: float = 1.0
    resolution: float = 1.0
    preferred_communities: int | None = None
    method: CommunityMethod = "infomap"


@dataclass(frozen=True)
class MergingQuality:
    """Figures of a merging that need no labels.

    Attributes:
        stability: mean adjusted Rand index of the communities of resampled images.
        coverage: share of the foreground patches whose part has an edge.
        quality: of the communities of all images in their graph.
        score: the product of stability, modularity and coverage, and of how near the number of
            communities is to the preferred one (smaller over larger).
    """

    stability: float
    coverage: float
    quality: PartitionQuality
    score: float


class PartGraph:
    """Co-occurrence of the parts of a set of images.

    Args:
        maps: int `[N, h, w]`, 0 for background and 1 … K for parts.
        num_parts: K.
        size: `(H, W)` at which neighbours are counted.
    """

    def __init__(
        self,
        maps: np.ndarray,
        num_parts: int,
        size: tuple[int, int],
        neighbourhood: Neighbourhood = "symmetric",
    ) -> None:
        self.num_parts = num_parts
        self.neighbourhood: Neighbourhood = neighbourhood
        self.share = np.bincount(maps.ravel(), minlength=num_parts + 1)[1:].astype(float)
        self.share /= max(self.share.sum(), 1)
        # Interleaved, so that each block has images of every part of the set.
        self.blocks = [
            CooccurrenceSums(num_parts + 1, neighbourhood=neighbourhood).update(
                _enlarged(maps[start::NUM_BLOCKS], size)
            )
            for start in range(NUM_BLOCKS)
        ]

    def cooccurrence(self, blocks: np.ndarray | None = None) -> Tensor:
        """float64 `[K + 1, K + 1]` of all images, or of some blocks of them."""
        total = CooccurrenceSums(self.num_parts + 1, neighbourhood=self.neighbourhood)
        for index in range(NUM_BLOCKS) if blocks is None else blocks:
            total.merge(self.blocks[int(index)])
        return total.mean()

    def communities(
        self, merging: Merging, seed: int, blocks: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        """Community of background and of every part `[K + 1]` (−1 for none), and edge weights."""
        weights = mutual_edges(self.cooccurrence(blocks), merging.edge_threshold)
        found = detect_communities(
            weights,
            merging.method,
            seed=seed,
            markov_time=merging.markov_time,
            resolution=merging.resolution,
            preferred_communities=merging.preferred_communities,
            num_trials=NUM_TRIALS,
        )
        return found, weights

    def assess(self, merging: Merging, num_resamples: int, seed: int) -> MergingQuality:
        """Stability over resampled images and quality of the graph; no label is involved."""
        generator = np.random.default_rng(seed)
        partitions = []
        for draw in range(num_resamples):
            blocks = generator.permutation(NUM_BLOCKS)[:BLOCKS_DRAWN]
            partitions.append(self.communities(merging, seed + draw, blocks)[0])
        stability = partition_stability(partitions)
        communities, weights = self.communities(merging, seed)
        quality = partition_quality(weights, communities, markov_time=merging.markov_time)
        coverage = float(self.share[communities[1:].numpy() >= 0].sum())
        closeness = 1.0
        if merging.preferred_communities:
            counts = sorted((quality.num_communities, merging.preferred_communities))
            closeness = counts[0] / counts[1]
        score = max(stability, 0) * max(quality.modularity, 0) * coverage * closeness
        return MergingQuality(stability, coverage, quality, score)


def objects_of(communities: Tensor) -> np.ndarray:
    """int64 `[K + 1]`: 0 for parts without an edge, as for most background, then communities."""
    return communities.numpy() + 1


def _enlarged(maps: np.ndarray, size: tuple[int, int]) -> Iterator[Tensor]:
    for cluster_map in maps:
        yield resize_labels(torch.from_numpy(cluster_map), size)
