"""k-means by faiss, as the papers ran it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.kmeans import Metric, check_points, check_settings
from leopart_kit.clustering.lloyd import Points, sum_of_squares
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)


class FaissKMeans:
    """faiss's k-means with the interface of `KMeans`: 100 iterations, 5 redos (Leopart).

    faiss fits on a random sample of 256 points a cluster where there are more; here that is
    a setting, and `points_used` says what it came to. Starts are random points, every redo runs all
    iterations on all points used, and an empty cluster splits a large one.

    Args:
        num_clusters: K.
        metric: `euclidean` or `spherical` (points and centroids of unit length).
        num_iterations: iterations of every redo.
        num_restarts: redos; the one with the smallest inertia is kept.
        max_points_per_cluster: `None` fits on all points.
        seed: of the sample and the starts.
        track: progress over the one call into faiss, which cannot be looked into.

    Attributes (after `fit`):
        centroids: float32 `[K, D]` on the CPU.
        inertia: sum of squared distances of all points given to their centroid, also of those faiss
            left out; between unit vectors if spherical.
        points_used: points fitted on.

    Raises:
        ImportError: faiss is not installed.
        ValueError: a setting out of range.
    """

    centroids: Tensor
    inertia: float
    points_used: int

    def __init__(
        self,
        num_clusters: int,
        *,
        metric: Metric = "euclidean",
        num_iterations: int = 100,
        num_restarts: int = 5,
        max_points_per_cluster: int | None = 256,
        seed: int = 0,
        track: Track = quiet,
    ) -> None:
        check_settings(
            metric,
            num_clusters=num_clusters,
            num_iterations=num_iterations,
            num_restarts=num_restarts,
            max_points_per_cluster=max_points_per_cluster,
        )
        _import_faiss()
        self.num_clusters = num_clusters
        self.metric: Metric = metric
        self.num_iterations = num_iterations
        self.num_restarts = num_restarts
        self.max_points_per_cluster = max_points_per_cluster
        self.seed = seed
        self.track = track

    def fit(self, x: Tensor) -> FaissKMeans:
        """Fits on points `[N, D]` of any float type.

        Raises:
            ValueError: not `[N, D]`, fewer points than clusters, or a value that is not finite.
        """
        faiss = _import_faiss()
        check_points(x, num_clusters=self.num_clusters)
        points = self._points(x)
        limit = self.max_points_per_cluster or -(-len(points) // self.num_clusters)
        kmeans = faiss.Kmeans(
            points.shape[1],
            self.num_clusters,
            niter=self.num_iterations,
            nredo=self.num_restarts,
            seed=self.seed,
            spherical=self.metric == "spherical",
            min_points_per_centroid=1,
            max_points_per_centroid=limit,
        )
        for _ in self.track(range(1), "k-means (faiss)", 1):
            kmeans.train(points)
        self.centroids = torch.from_numpy(np.array(kmeans.centroids, dtype=np.float32))
        self.points_used = min(len(points), limit * self.num_clusters)
        self.inertia = self._inertia(points)
        logger.info(
            "k-means (faiss): %d clusters on %d of %d points, %d redos of %d iterations, "
            "inertia %.6g",
            self.num_clusters,
            self.points_used,
            len(points),
            self.num_restarts,
            self.num_iterations,
            self.inertia,
        )
        return self

    def predict(self, x: Tensor) -> Tensor:
        """Nearest centroid of points `[N, D]`: int64 `[N]`, on the device of `x`.

        Raises:
            ValueError: not `[N, D]` with the width fitted on, or a value that is not finite.
            RuntimeError: called before `fit`.
        """
        if not hasattr(self, "centroids"):
            raise RuntimeError("call fit before predict")
        check_points(x, dim=self.centroids.shape[1])
        return self._nearest(self._points(x)).to(x.device)

    def _nearest(self, points: np.ndarray) -> Tensor:
        faiss = _import_faiss()
        flat = faiss.IndexFlatL2 if self.metric == "euclidean" else faiss.IndexFlatIP
        index = flat(self.centroids.shape[1])
        index.add(self.centroids.numpy())
        _, labels = index.search(points, 1)
        return torch.from_numpy(labels[:, 0])

    def _inertia(self, points: np.ndarray) -> float:
        shift = torch.zeros(points.shape[1])
        prepared = Points(torch.from_numpy(points), torch.device("cpu"), 1 << 16, False, shift)
        return sum_of_squares(prepared, self._nearest(points), self.centroids)

    def _points(self, x: Tensor) -> np.ndarray:
        points = x.detach().to("cpu", torch.float32).contiguous().numpy()
        for start in range(0, len(points), 1 << 16):
            finite = np.isfinite(points[start : start + (1 << 16)]).all(axis=1)
            if not finite.all():
                row = start + int(np.flatnonzero(~finite)[0])
                raise ValueError(f"point {row} holds a value that is not finite (NaN or infinite)")
        if self.metric == "spherical":
            return torch.nn.functional.normalize(torch.from_numpy(points), dim=1).numpy()
        return points


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "the faiss engine needs faiss: pip install faiss-cpu, or use leopart_kit's own KMeans "
            "(engine leopart_kit)"
        ) from error
    return faiss
