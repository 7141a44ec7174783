"""k-means++ starts, and Lloyd's iterations over points that are read in chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.progress import Track

# Rows summed in float32 before they enter float64 totals.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Points:
    """Points `[N, D]` as k-means sees them: float32, less a shift or of unit length, by rows.

    The shift to the mean keeps |x|² - 2 x·c + |c|² from cancelling where all points lie far from 0.
    """

    x: Tensor
    device: torch.device
    chunk_size: int
    spherical: bool
    shift: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, start: int, stop: int) -> Tensor:
        rows = self.x[start:stop].to(self.device, torch.float32)
        return F.normalize(rows, dim=1) if self.spherical else rows - self.shift

    def subset(self, indices: Tensor) -> Points:
        return replace(self, x=self.x[indices.to(self.x.device)])


@dataclass(frozen=True)
class LloydFit:
    """Centroids `[K, D]` in the coordinates of `Points`, and how they were reached."""

    centroids: Tensor
    inertia: float
    iterations: int
    converged: bool


def lloyd(
    points: Points, centroids: Tensor, num_iterations: int, tolerance: float, track: Track
) -> LloydFit:
    """Alternates assignment and means until the inertia falls by a share below `tolerance`.

    Raises:
        ValueError: distances overflow float32.
    """
    previous, converged, iterations = float("inf"), False, 0
    labels, distances = assign(points, centroids)
    for _ in track(range(num_iterations), "k-means", num_iterations):
        current = float(distances.sum(dtype=torch.float64))
        if previous < float("inf") and previous - current <= tolerance * previous:
            converged = True
            break
        previous = current
        centroids = _means(points, labels, distances, centroids)
        labels, distances = assign(points, centroids)
        iterations += 1
    return LloydFit(centroids, sum_of_squares(points, labels, centroids), iterations, converged)


def assign(points: Points, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest centroid (int64 `[N]`, lowest id on ties) and squared distance (float32 `[N]`).

    Raises:
        ValueError: a distance is not finite (the row is named).
    """
    labels = torch.empty(len(points), dtype=torch.int64, device=points.device)
    distances = torch.empty(len(points), device=points.device)
    norms = centroids.square().sum(dim=1)
    directions = (-2 * centroids).T.contiguous()
    size = min(points.chunk_size, len(points))
    block = torch.empty(size, len(centroids), device=points.device)
    for start in range(0, len(points), size):
        stop = min(start + size, len(points))
        rows = points.rows(start, stop)
        scores = torch.addmm(norms, rows, directions, out=block[: stop - start])
        nearest, labels[start:stop] = scores.min(dim=1)
        distances[start:stop] = nearest + rows.square().sum(dim=1)
    if not distances.isfinite().all():
        row = int((~distances.isfinite()).nonzero()[0])
        raise ValueError(
            f"the distance of point {row} is not finite: it holds NaN, an infinite value, or "
            "values so large that their squares overflow float32"
        )
    return labels, distances.clamp_(min=0)


def sum_of_squares(points: Points, labels: Tensor, centroids: Tensor) -> float:
    """Inertia, by subtraction: exact in tight clusters too."""
    total = 0.0
    for start in range(0, len(points), _BLOCK):
        offset = points.rows(start, start + _BLOCK) - centroids[labels[start : start + _BLOCK]]
        total += float(offset.square().sum(dtype=torch.float64))
    return total


def _means(points: Points, labels: Tensor, distances: Tensor, centroids: Tensor) -> Tensor:
    """New centroids; an empty cluster moves onto the point farthest from its centroid."""
    sizes = torch.bincount(labels, minlength=len(centroids))
    sums = _cluster_sums(points, labels, len(centroids))
    if points.spherical:
        # Directions that cancel exactly leave no mean direction: keep the last one.
        means = torch.where(
            sums.norm(dim=1, keepdim=True) > 0, F.normalize(sums, dim=1), centroids.double()
        )
    else:
        means = sums / sizes.clamp(min=1)[:, None]
    means = means.float()
    empty = (sizes == 0).nonzero()[:, 0]
    if len(empty):
        for cluster, row in zip(empty, distances.topk(len(empty)).indices.tolist(), strict=True):
            means[cluster] = points.rows(row, row + 1)[0]
    return means


def _cluster_sums(points: Points, labels: Tensor, num_clusters: int) -> Tensor:
    """Sum of the points of every cluster, float64 `[K, D]`, in an order that never changes."""
    sums = torch.zeros(num_clusters, points.x.shape[1], dtype=torch.float64, device=points.device)
    on_cpu = points.device.type == "cpu"
    size = _BLOCK if on_cpu else points.chunk_size
    for start in range(0, len(points), size):
        rows = points.rows(start, start + size)
        chosen = labels[start : start + size]
        if on_cpu:
            sums += torch.zeros_like(sums, dtype=torch.float32).index_add_(0, chosen, rows)
        else:
            # Scatter-adds on a GPU are atomic, in any order; a product with one-hot rows is not.
            sums += F.one_hot(chosen, num_clusters).float().T @ rows
    return sums


def greedy_kmeans_plus_plus(
    points: Tensor, num_clusters: int, generator: torch.Generator
) -> Tensor:
    """Picks K points that lie far from each other.

    Every next centroid is drawn 2 + ln K times, with probability proportional to the squared
    distance to the nearest one so far. The draw that lowers the sum of those distances most is kept
    (Arthur & Vassilvitskii 2007, the greedy variant).

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
