"""Starts of k-means: random samples of points, and centroids that lie far from each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Up to here a sample is the head of a permutation of all points, 8 bytes each.
_PERMUTED = 1 << 24


def sampled_rows(total: int, size: int, generator: torch.Generator) -> Tensor:
    """`size` different rows of `total`, each set of them as likely; ascending int64 `[size]`.

    Memory is 8 bytes a row of the sample where `total` is more than 16.8 million.
    """
    if total <= _PERMUTED or 2 * size > total:
        return torch.randperm(total, generator=generator)[:size].sort().values
    # Drawn one after the other until there are enough different ones.
    rows = torch.empty(0, dtype=torch.int64)
    while len(rows) < size:
        more = torch.randint(total, (size - len(rows),), generator=generator)
        rows = torch.cat([rows, more]).unique()
    return rows


@dataclass(frozen=True)
class SeedDraws:
    """The random choices of one start: which point comes first, and places of all later trials.

    `uniforms` are float64 `[K - 1, T]` in [0, 1). They are drawn before the work, so that a start
    is the same whichever process makes it.
    """

    first: int
    uniforms: Tensor

    @classmethod
    def draw(cls, num_points: int, num_clusters: int, generator: torch.Generator) -> SeedDraws:
        """The choices for K of so many points; `generator` is on the CPU, for every device."""
        first = int(torch.randint(num_points, (), generator=generator))
        shape = num_clusters - 1, 2 + int(math.log(num_clusters))
        return cls(first, torch.rand(shape, generator=generator, dtype=torch.float64))


def greedy_kmeans_plus_plus(points: Tensor, draws: SeedDraws) -> Tensor:
    """Picks K points that lie far from each other.

    Every next centroid is drawn T = 2 + ln K times, with probability proportional to the squared
    distance to the nearest one so far. The draw that lowers the sum of those distances most is kept
    (Arthur & Vassilvitskii 2007, the greedy variant).

    Args:
        points: float32 `[N, D]`, N at least K, best with their mean near 0.

    Returns:
        `[K, D]`; with fewer than K distinct points some are repeated.
    """
    uniforms = draws.uniforms.to(points.device)
    norms = points.square().sum(dim=1)
    picked = torch.empty(len(uniforms) + 1, dtype=torch.int64, device=points.device)
    picked[0] = draws.first
    nearest = (points - points[draws.first]).square().sum(dim=1)
    for index, uniform in enumerate(uniforms, start=1):
        mass = nearest.cumsum(dim=0, dtype=torch.float64)
        trials = torch.searchsorted(mass, uniform * mass[-1], right=True)
        trials.clamp_(max=len(points) - 1)
        distances = torch.addmm(norms, points[trials], points.T, alpha=-2)
        distances += norms[trials, None]
        distances = torch.minimum(distances.clamp_(min=0), nearest)
        # One-element tensors as indices: a number would have to come from the GPU first.
        best = distances.sum(dim=1).argmin(dim=0, keepdim=True)
        chosen = trials[best]
        picked[index : index + 1] = chosen
        nearest = distances[best][0]
        # Rounding must not leave a picked point some mass of its own.
        nearest[chosen] = 0
    return points[picked]
