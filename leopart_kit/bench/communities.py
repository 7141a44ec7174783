"""Benchmarks of the graph of parts: co-occurrence of a validation set, and its communities."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from leopart_kit.clustering import cooccurrence, detect_communities, mutual_edges

NUM_MAPS, SIDE = 2913, 100  # Pascal VOC train and val
PATCHES = 32  # a side of the maps before they are enlarged


def bench_communities(num_seeds: int = 10) -> Iterator[str]:
    """Seconds for the co-occurrence of 2,913 maps and for ten single searches of Infomap."""
    yield f"communities: {NUM_MAPS:,} maps of {SIDE} x {SIDE}, Infomap with {num_seeds} seeds"
    for num_clusters in (150, 1000):
        maps = _blocky_maps(num_clusters)
        start = time.perf_counter()
        found = cooccurrence(maps, num_clusters)
        counted = time.perf_counter() - start
        # About 8 edges a part, as thresholds of the papers leave on real data.
        smaller = torch.minimum(found, found.T).flatten().sort(descending=True).values
        weights = mutual_edges(found, float(smaller[8 * num_clusters]))
        start = time.perf_counter()
        for seed in range(num_seeds):
            detect_communities(weights, seed=seed, preferred_communities=20, num_trials=1)
        searched = time.perf_counter() - start
        yield f"  K = {num_clusters:4}  co-occurrence {counted:5.2f} s   Infomap {searched:5.2f} s"


def _blocky_maps(num_clusters: int) -> Tensor:
    """Maps whose images show ten parts each, in patches enlarged to the size of the maps."""
    generator = torch.Generator().manual_seed(0)
    shown = torch.randint(0, num_clusters, (NUM_MAPS, 10), generator=generator)
    picks = torch.randint(0, 10, (NUM_MAPS, PATCHES * PATCHES), generator=generator)
    patches = shown.gather(1, picks).view(NUM_MAPS, PATCHES, PATCHES)
    rows = torch.arange(SIDE) * PATCHES // SIDE
    return patches[:, rows[:, None], rows].to(torch.int32)
