"""From stored patch tokens to a cluster of every patch: standardise, reduce, k-means per seed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.clustering import FaissKMeans, KMeans, TokenProjection
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.joined_stores import PatchTokens
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Clock, Task
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

_DETERMINING = {
    field.name
    for field in fields(TokenClustering)
    if field.name not in ("seeds", "score_resolution")
}


@dataclass(frozen=True)
class ClusterMaps:
    """Cluster of every patch: `maps[seed]` is int32 `[N, h, w]`, rows as in `indices`."""

    maps: Mapping[int, np.ndarray]
    indices: np.ndarray
    num_clusters: int
    details: Mapping[str, Any]


def cluster_tokens(
    store: FeatureStore,
    protocol: TokenClustering,
    num_clusters: int,
    *,
    device: str | torch.device = "cpu",
    track: Track = quiet,
    processes: Processes = ALONE,
) -> ClusterMaps:
    """Standardise, reduce and cluster the tokens of a store, once for every seed.

    Several processes take a share of the seeds each. What a seed gave is kept beside the tokens, so
    that a run which was broken off goes on with the next seed.

    Raises:
        ValueError: fewer patches than clusters.
    """
    num_points = len(store) * store.tokens.shape[1]
    check_enough_patches(num_clusters, len(store), store.tokens.shape[1])
    points, details = project_tokens(store, protocol)
    cache = _cache_of(store, protocol)
    found = []
    for seed in processes.share(protocol.seeds):

        def cluster(seed: int = seed) -> Mapping[str, np.ndarray]:
            labels, run = cluster_points(
                points, protocol, num_clusters, seed, device=device, track=track
            )
            return {"labels": labels, "run": np.array(json.dumps(run))}

        kept = cache.get("kmeans", {"num_clusters": num_clusters, "seed": seed}, cluster)
        labels, run = kept["labels"], json.loads(str(kept["run"]))
        found.append((labels.reshape(len(store), *store.grid), run))
        logger.info(
            "seed %d: the largest of %d clusters holds %.1f %% of the patches, %d are empty",
            seed,
            num_clusters,
            run["largest_cluster_percent"],
            run["empty_clusters"],
        )
    found = processes.join(found)
    maps = {seed: labels for seed, (labels, _) in zip(protocol.seeds, found, strict=True)}
    runs = [run for _, run in found]
    details = {"num_clusters": num_clusters, "points": num_points, **details, "kmeans": runs}
    return ClusterMaps(maps, store.indices, num_clusters, details)


def _cache_of(store: FeatureStore, protocol: TokenClustering) -> StageCache:
    used = {name: value for name, value in asdict(protocol).items() if name in _DETERMINING}
    key = {"store": store.folder.name, "images": store.indices.tolist(), "clustering": used}
    return StageCache(store.folder / "stages", key)


def cluster_images(
    task: Task, protocol: TokenClustering, num_clusters: int, clock: Clock
) -> tuple[FeatureStore, ClusterMaps]:
    """Extract and cluster the tokens of a task's images; the laps are `features` and `kmeans`.

    Raises:
        ValueError: fewer patches than clusters; before hours of extraction where that is certain.
    """
    rows, columns = grid_size(*protocol.resolution, task.encoder.patch_size)
    check_enough_patches(num_clusters, len(task.usable), rows * columns)
    store = task.features(protocol.resolution)
    clock.lap("features")
    run = task.run
    clusters = cluster_tokens(
        store,
        protocol,
        num_clusters,
        device=run.device,
        track=run.track,
        processes=run.processes,
    )
    clock.lap("kmeans")
    return store, clusters


def check_enough_patches(num_clusters: int, num_images: int, patches_per_image: int) -> None:
    """Raise `ValueError` for more clusters than patches."""
    if num_clusters > num_images * patches_per_image:
        raise ValueError(
            f"{num_clusters} clusters are more than the {num_images * patches_per_image} patches "
            f"of {num_images} images: lower num_clusters or use more images"
        )


def project_tokens(store: PatchTokens, protocol: TokenClustering) -> tuple[Tensor, dict[str, Any]]:
    """All tokens after normalisation, standardising and PCA, float32 `[N·h·w, d]`.

    They are mapped from a passing file beside the tokens, so that memory stays free of them.

    Raises:
        OSError: the disk has too little space; carries the name of the folder.
    """
    projection = TokenProjection.fit(
        store.chunks,
        l2_normalize=protocol.l2_normalize,
        standardize=protocol.standardize,
        pca_dim=protocol.pca_dim,
    )
    pca = projection.pca
    num_tokens = len(store) * store.grid[0] * store.grid[1]
    points = projection.on_disk(store.chunks, num_tokens, store.folder)
    explained = None if pca is None else float(pca.explained_variance_ratio.sum())
    return points, {"dimensions": points.shape[1], "explained_variance": explained}


def cluster_points(
    points: Tensor,
    protocol: TokenClustering,
    num_clusters: int,
    seed: int,
    *,
    device: str | torch.device = "cpu",
    track: Track = quiet,
) -> tuple[np.ndarray, dict[str, Any]]:
    """One k-means of `[M, d]`: labels int32 `[M]` and what to report of it."""
    settings: dict[str, Any] = {
        "metric": protocol.metric,
        "num_iterations": protocol.num_iterations,
        "num_restarts": protocol.num_restarts,
        "max_points_per_cluster": protocol.max_points_per_cluster,
        "seed": seed,
        "track": track,
    }
    if protocol.engine == "faiss":
        kmeans = FaissKMeans(num_clusters, **settings)
    else:
        kmeans = KMeans(num_clusters, **settings, device=device)
    labels = kmeans.fit(points).predict(points).to("cpu", torch.int32).numpy()
    sizes = np.bincount(labels, minlength=num_clusters)
    return labels, {
        "seed": seed,
        "inertia": float(kmeans.inertia),
        "points_used": int(kmeans.points_used),
        "empty_clusters": int((sizes == 0).sum()),
        "largest_cluster_percent": round(100 * float(sizes.max() / sizes.sum()), 3),
    }
