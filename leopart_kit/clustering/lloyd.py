"""Lloyd's iterations over points that are read in chunks, by one process or by several.

Each process holds a share of the points. Sums and sizes of the clusters are added up over all of
them; what is decided from those is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.clustering.segment_sums import segment_sums
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track

BLOCK = 1 << 16
"""Rows summed in float32 before they enter float64 totals. Shares of whole blocks give the sums of
one process, but for the rounding of float64."""


# Where a chunk starts, its rows, their nearest centroids and squared distances.
_Chunk = tuple[int, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Points:
    """Points `[n, D]` as k-means sees them: float32, less a shift or of unit length, by rows.

    The shift to the mean keeps |x|² - 2 x·c + |c|² from cancelling where all points lie far from 0.
    `x` are the rows of this one of the `processes`, after the `before` rows of those of lower rank.
    """

    x: Tensor
    device: torch.device
    chunk_size: int
    spherical: bool
    shift: Tensor
    processes: Processes = ALONE
    before: int = 0

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, start: int, stop: int) -> Tensor:
        rows = self.x[start:stop].to(self.device, torch.float32)
        return F.normalize(rows, dim=1) if self.spherical else rows - self.shift


@dataclass(frozen=True)
class LloydFit:
    """Centroids `[K, D]` in the coordinates of `Points`, and how they were reached."""

    centroids: Tensor
    inertia: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Assignment:
    """Points at their nearest centroids; all but `labels` is over the points of all processes.

    Attributes:
        labels: int32 `[n]`, lowest id on ties.
        sums: of the points of every cluster, float64 `[K, D]`.
        sizes: int64 `[K]`.
        inertia: sum of squared distances.
    """

    labels: Tensor
    sums: Tensor
    sizes: Tensor
    inertia: float


def lloyd(
    points: Points, centroids: Tensor, num_iterations: int, tolerance: float, track: Track
) -> LloydFit:
    """Alternates assignment and means until the inertia falls by a share below `tolerance`.

    Raises:
        ValueError: distances overflow float32.
    """
    previous, converged, iterations = float("inf"), False, 0
    found = assign(points, centroids)
    for _ in track(range(num_iterations), "k-means", num_iterations):
        if previous < float("inf") and previous - found.inertia <= tolerance * previous:
            converged = True
            break
        previous = found.inertia
        centroids = _means(points, found, centroids)
        found = assign(points, centroids)
        iterations += 1
    inertia = sum_of_squares(points, found.labels, centroids)
    return LloydFit(centroids, inertia, iterations, converged)


def assign(points: Points, centroids: Tensor) -> Assignment:
    """Every point at its nearest centroid, and what the next centroids are made of.

    Raises:
        ValueError: a distance is not finite (the row is named).
    """
    labels = torch.empty(len(points), dtype=torch.int32, device=points.device)
    total = torch.zeros((), dtype=torch.float64, device=points.device)
    sums = _ClusterSums(centroids)
    for start, rows, nearest, distances in _nearest(points, centroids):
        labels[start : start + len(rows)] = nearest
        sums.add(rows, nearest)
        total += distances.sum(dtype=torch.float64)
    sizes = torch.bincount(labels, minlength=len(centroids))
    packed = torch.cat([sums.finish().flatten(), sizes.double(), total[None]])
    packed = points.processes.sum(packed)
    number, dim = centroids.shape
    return Assignment(
        labels,
        packed[: number * dim].view(number, dim),
        packed[number * dim : -1].long(),
        float(packed[-1]),
    )


def nearest_centroids(points: Points, centroids: Tensor) -> Tensor:
    """The nearest centroid of every point of this process, int64 `[n]`; raises as `assign`."""
    labels = torch.empty(len(points), dtype=torch.int64, device=points.device)
    for start, rows, nearest, _ in _nearest(points, centroids):
        labels[start : start + len(rows)] = nearest
    return labels


def sum_of_squares(points: Points, labels: Tensor, centroids: Tensor) -> float:
    """Inertia over all processes, by subtraction: exact in tight clusters too."""
    total = 0.0
    for start in range(0, len(points), BLOCK):
        offset = points.rows(start, start + BLOCK) - centroids[labels[start : start + BLOCK]]
        total += float(offset.square().sum(dtype=torch.float64))
    return float(points.processes.sum(torch.tensor(total, dtype=torch.float64)))


def _nearest(points: Points, centroids: Tensor) -> Iterator[_Chunk]:
    """Chunks with their nearest centroids; raises `ValueError` in the end as `assign`."""
    finite = torch.ones((), dtype=torch.bool, device=points.device)
    for start, rows, nearest, distances in _chunks(points, centroids):
        finite &= distances.isfinite().all()  # looked at once, so that a GPU need not wait
        yield start, rows, nearest, distances.clamp_(min=0)
    if finite:
        return
    for start, _, _, distances in _chunks(points, centroids):
        odd = (~distances.isfinite()).nonzero()[:, 0]
        if len(odd):
            raise ValueError(
                f"the distance of point {points.before + start + int(odd[0])} is not finite: it "
                "holds NaN, an infinite value, or values so large that their squares overflow "
                "float32"
            )


def _chunks(points: Points, centroids: Tensor) -> Iterator[_Chunk]:
    norms = centroids.square().sum(dim=1)
    directions = (-2 * centroids).T.contiguous()
    size = max(min(points.chunk_size, len(points)), 1)
    block = torch.empty(size, len(centroids), device=points.device)
    for start in range(0, len(points), size):
        rows = points.rows(start, start + size)
        scores = torch.addmm(norms, rows, directions, out=block[: len(rows)])
        smallest, nearest = scores.min(dim=1)
        yield start, rows, nearest, smallest + rows.square().sum(dim=1)


def _means(points: Points, found: Assignment, centroids: Tensor) -> Tensor:
    """New centroids; an empty cluster moves onto the point farthest from its centroid."""
    if points.spherical:
        # Directions that cancel exactly leave no mean direction: keep the last one.
        means = torch.where(
            found.sums.norm(dim=1, keepdim=True) > 0,
            F.normalize(found.sums, dim=1),
            centroids.double(),
        )
    else:
        means = found.sums / found.sizes.clamp(min=1)[:, None]
    means = means.float()
    empty = (found.sizes == 0).nonzero()[:, 0]
    if len(empty):
        means[empty] = _farthest(points, centroids, len(empty))
    return means


def _farthest(points: Points, centroids: Tensor, number: int) -> Tensor:
    """The points farthest from their centroids, over all processes, the farthest first."""
    found = [distances for _, _, _, distances in _nearest(points, centroids)]
    distances = torch.cat([torch.empty(0, device=points.device), *found])
    distances, places = distances.topk(min(number, len(distances)))
    rows = [points.rows(place, place + 1) for place in places.tolist()]
    rows = torch.cat([centroids[:0], *rows])
    if points.processes.count > 1:
        distances = points.processes.concatenate(distances)
        order = distances.argsort(descending=True, stable=True)
        rows = points.processes.concatenate(rows)[order[:number]]
    return rows


class _ClusterSums:
    """Sums of the points of every cluster, float64 `[K, D]`, in an order that never changes."""

    def __init__(self, centroids: Tensor) -> None:
        self._total = torch.zeros_like(centroids, dtype=torch.float64)
        self._block = torch.zeros_like(centroids)
        self._rows = 0  # of the block

    def add(self, rows: Tensor, labels: Tensor) -> None:
        """Rows `[n, D]` and their clusters `[n]`."""
        if rows.device.type != "cpu":
            self._total += segment_sums(rows, labels, len(self._total))
            return
        while len(rows):
            fitting = BLOCK - self._rows
            self._block.index_add_(0, labels[:fitting], rows[:fitting])
            self._rows += len(rows[:fitting])
            rows, labels = rows[fitting:], labels[fitting:]
            if self._rows == BLOCK:
                self.finish()

    def finish(self) -> Tensor:
        """The sums of all that was added."""
        self._total += self._block
        self._block.zero_()
        self._rows = 0
        return self._total
