"""k-means: seeded starts compete on a sample, the best one is finished on all points."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from leopart_kit.clustering.kmeans_starts import (
    best_start,
    draw_points,
    draw_starts,
    share_points,
)
from leopart_kit.clustering.lloyd import (
    BLOCK,
    Points,
    lloyd,
    nearest_centroids,
    sum_of_squares,
)
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

# What a start is worth shows long before it has converged.
_START_TOLERANCE = 1e-3

Metric = Literal["euclidean", "spherical"]


class KMeans:
    """Lloyd's k-means with k-means++ starts (Arthur & Vassilvitskii 2007), on CPU or GPU.

    The restarts compete on a sample. Every one of `num_restarts` starts is seeded by greedy
    k-means++ and iterated on the same random sample of 100 points a cluster (at least 20,000, or
    all points if there are no more) until its inertia falls by less than a thousandth. The start
    with the smallest inertia goes on over all points until the inertia falls by a share below
    `tolerance`, or for `num_iterations`. So `num_restarts` guards against a bad start; it does not
    repeat the whole fit.

    An empty cluster is moved onto the point that lies farthest from its centroid, a second one onto
    the next. It stays empty only where every point coincides with a centroid.

    A seed gives the same answer again on the same machine and settings.

    Several processes fit together, each on the points that it was given; they count as one set in
    the order of the ranks. The answer is that of one process but for rounding: to the last bit
    nearly always where each holds whole blocks of 65,536 points, as `Processes.part` cuts them.

    Args:
        num_clusters: K.
        metric: `euclidean`, or `spherical`: points and centroids have unit length and similarity is
            the cosine (Dhillon & Modha 2001). A zero vector stays zero.
        num_iterations: most iterations over the sample, and again over all points.
        num_restarts: starts that compete on the sample.
        tolerance: relative decrease of the inertia below which the fit has converged.
        max_points_per_cluster: fit on a random sample of this many points a cluster where there are
            more; `None` fits on all. `points_used` says what it came to.
        seed: of every random choice.
        chunk_size: points handled at a time, chosen by K and the device if `None`. Memory beyond
            the points is about 4 bytes times chunk_size times K, 8 bytes a point, and the sample.
        device: where to compute; `None` is where the points are. Points stay where they are and
            move there chunk by chunk.
        track: progress over starts and iterations.
        processes: those that fit together.

    Attributes (after `fit`):
        centroids: float32 `[K, D]`, in the coordinates of the points, on the device computed on.
        inertia: sum of squared distances of all points given to their centroid, also of those left
            out by `max_points_per_cluster`; between unit vectors if spherical.
        points_used: points fitted on.
        iterations: iterations over all points used.
        converged: whether `tolerance` was met.

    Raises:
        ValueError: a setting out of range.
    """

    centroids: Tensor
    inertia: float
    points_used: int
    iterations: int
    converged: bool

    def __init__(
        self,
        num_clusters: int,
        *,
        metric: Metric = "euclidean",
        num_iterations: int = 100,
        num_restarts: int = 5,
        tolerance: float = 1e-4,
        max_points_per_cluster: int | None = None,
        seed: int = 0,
        chunk_size: int | None = None,
        device: str | torch.device | None = None,
        track: Track = quiet,
        processes: Processes = ALONE,
    ) -> None:
        check_settings(
            metric,
            num_clusters=num_clusters,
            num_iterations=num_iterations,
            num_restarts=num_restarts,
            max_points_per_cluster=max_points_per_cluster,
            chunk_size=chunk_size,
        )
        if not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative, got {tolerance}")
        self.num_clusters = num_clusters
        self.metric: Metric = metric
        self.num_iterations = num_iterations
        self.num_restarts = num_restarts
        self.tolerance = tolerance
        self.max_points_per_cluster = max_points_per_cluster
        self.seed = seed
        self.chunk_size = chunk_size
        self.device = device
        self.track = track
        self.processes = processes

    @torch.no_grad()
    def fit(self, x: Tensor) -> KMeans:
        """Fits on points `[N, D]` of any float type, the share of this process.

        Raises:
            ValueError: not `[N, D]`, fewer points than clusters, or a value that is not finite; in
                every process.
        """
        return self.processes.together(lambda: self._fit(x))

    def _fit(self, x: Tensor) -> KMeans:
        shares = self.processes.gather(len(x))
        total, before = sum(shares), sum(shares[: self.processes.rank])
        check_points(x, num_clusters=self.num_clusters, total=total)
        generator = torch.Generator().manual_seed(self.seed)
        everything = self._points(x, _finite_mean(x, before, total, self.processes))
        everything = replace(everything, processes=self.processes, before=before)
        points, used = everything, total
        limit = self.max_points_per_cluster
        if limit is not None and limit * self.num_clusters < total:
            used = limit * self.num_clusters
            points = share_points(draw_points(everything, total, used, generator), self.processes)
        size = min(used, max(100 * self.num_clusters, 20_000))
        start = best_start(
            draw_points(points, used, size, generator),
            draw_starts(self.num_restarts, size, self.num_clusters, generator),
            self.num_iterations,
            max(self.tolerance, _START_TOLERANCE),
            self.track,
            self.processes,
        )
        fit = lloyd(points, start.centroids, self.num_iterations, self.tolerance, self.track)
        self.centroids = fit.centroids + points.shift
        self.inertia = fit.inertia
        if used < total:
            labels = nearest_centroids(everything, fit.centroids)
            self.inertia = sum_of_squares(everything, labels, fit.centroids)
        self.points_used = used
        self.iterations = fit.iterations
        self.converged = fit.converged
        logger.info(
            "k-means: %d clusters on %d of %d points, best of %d starts on %d points, "
            "%d iterations (%s), inertia %.6g",
            self.num_clusters,
            used,
            total,
            self.num_restarts,
            size,
            fit.iterations,
            "converged" if fit.converged else "stopped before convergence",
            self.inertia,
        )
        return self

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """Nearest centroid of points `[N, D]`: int64 `[N]`, on the device of `x`.

        Ties go to the lowest cluster id. Each process may ask for points of its own.

        Raises:
            ValueError: not `[N, D]` with the width fitted on, or a value that is not finite.
            RuntimeError: called before `fit`.
        """
        if not hasattr(self, "centroids"):
            raise RuntimeError("call fit before predict")
        check_points(x, dim=self.centroids.shape[1])
        points = self._points(x, self.centroids.double().mean(dim=0))
        centroids = self.centroids.to(points.device) - points.shift
        return nearest_centroids(points, centroids).to(x.device)

    def _points(self, x: Tensor, mean: Tensor) -> Points:
        device = torch.device(self.device) if self.device is not None else x.device
        # One block of distances fits the processor's cache; a GPU wants larger pieces.
        elements = 1 << (20 if device.type == "cpu" else 26)
        chunk_size = self.chunk_size or max(256, elements // self.num_clusters)
        spherical = self.metric == "spherical"
        shift = torch.zeros_like(mean) if spherical else mean
        return Points(x, device, chunk_size, spherical, shift.to(device, torch.float32))


def check_settings(metric: str, **numbers: int | None) -> None:
    """Raises a `ValueError` that names the setting for an unknown metric or a number below 1."""
    if metric not in ("euclidean", "spherical"):
        raise ValueError(f"metric must be 'euclidean' or 'spherical', got {metric!r}")
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")


def check_points(
    x: Tensor, *, num_clusters: int = 0, dim: int | None = None, total: int | None = None
) -> None:
    """Raises a `ValueError` unless `x` is float `[N, D]` with enough points.

    `total` are those of all processes, where `x` is the share of one.
    """
    if x.ndim != 2 or not x.is_floating_point():
        raise ValueError(f"points must be float [N, D], got {x.dtype} {list(x.shape)}")
    if dim is not None and x.shape[1] != dim:
        raise ValueError(f"points have {x.shape[1]} dimensions, the centroids {dim}")
    total = len(x) if total is None else total
    if total < num_clusters:
        raise ValueError(
            f"{num_clusters} clusters need at least as many points, got {total}: lower "
            "num_clusters or give more points"
        )


def _finite_mean(x: Tensor, before: int, total: int, processes: Processes) -> Tensor:
    """Mean of the rows of all, float64 `[D]`; a value that is not finite is a `ValueError`."""
    sums = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    for start in range(0, len(x), BLOCK):
        rows = x[start : start + BLOCK]
        part = rows.sum(dim=0, dtype=torch.float64)
        if not part.isfinite().all():
            row = before + start + int((~rows.isfinite().all(dim=1)).nonzero()[0])
            raise ValueError(f"point {row} holds a value that is not finite (NaN or infinite)")
        sums += part
    return processes.sum(sums) / total
