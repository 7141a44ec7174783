"""From stored patch tokens to a cluster of every patch: standardise, reduce, k-means per seed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.token_clusters.token_points import TokenPoints
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.kept_labels import read_labels
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

    Several processes take a share of the tokens each; with faiss, of the seeds. What a seed gave is
    kept beside the tokens, so that a run which was broken off goes on with the next seed.

    Raises:
        ValueError: fewer patches than clusters.
    """
    check_enough_patches(num_clusters, len(store), store.tokens.shape[1])
    points = TokenPoints(store, protocol, device=device, track=track, processes=processes)
    cache = _cache_of(store, protocol)
    by_seed = protocol.engine == "faiss"
    found = []
    for seed in processes.share(protocol.seeds) if by_seed else protocol.seeds:
        file, run = points.kept_clusters(num_clusters, seed, cache, "clusters", {})
        found.append((file, run))
        logger.info(
            "seed %d: the largest of %d clusters holds %.1f %% of the patches, %d are empty",
            seed,
            num_clusters,
            run["largest_cluster_percent"],
            run["empty_clusters"],
        )
    if by_seed:
        found = processes.join(found)
    maps = {
        seed: read_labels(file).reshape(len(store), *store.grid)
        for seed, (file, _) in zip(protocol.seeds, found, strict=True)
    }
    pca = points.projection.pca
    details = {
        "num_clusters": num_clusters,
        "points": points.share.total,
        "dimensions": store.embed_dim if pca is None else len(pca.components),
        "explained_variance": None if pca is None else float(pca.explained_variance_ratio.sum()),
        "kmeans": [run for _, run in found],
    }
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
