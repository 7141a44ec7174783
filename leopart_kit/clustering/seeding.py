"""k-means++ starts."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def greedy_kmeans_plus_plus(
    points: Tensor, num_clusters: int, generator: torch.Generator
) -> Tensor:
    """Picks K points that lie far from each other.

    Every next centroid is drawn with probability proportional to the squared distance to the
    nearest one so far, 2 + ln K times, and the draw that lowers the sum of those distances
    most is kept (Arthur & Vassilvitskii 2007, the greedy variant).

    Args:
        points: float32 `[N, D]`, N at least K, best with their mean near 0.
        num_clusters: K.
        generator: on the CPU, so that every device makes the same draws.

    Returns:
        `[K, D]`; with fewer than K distinct points some are repeated.
    """
    num_trials = 2 + int(math.log(num_clusters))
    norms = points.square().sum(dim=1)
    picked = torch.empty(num_clusters, dtype=torch.int64, device=points.device)
    picked[0] = torch.randint(len(points), (), generator=generator)
    nearest = (points - points[picked[0]]).square().sum(dim=1)
    for index in range(1, num_clusters):
        mass = nearest.cumsum(dim=0, dtype=torch.float64)
        draws = torch.rand(num_trials, generator=generator, dtype=torch.float64)
        draws = draws.to(points.device) * mass[-1]
        trials = torch.searchsorted(mass, draws, right=True).clamp(max=len(points) - 1)
        distances = torch.addmm(norms, points[trials], points.T, alpha=-2)
        distances += norms[trials, None]
        distances = torch.minimum(distances.clamp_(min=0), nearest)
        best = distances.sum(dim=1).argmin()
        picked[index] = trials[best]
        nearest = distances[best]
        # Rounding must not leave a picked point some mass of its own.
        nearest[picked[index]] = 0
    return points[picked]
