"""Patch tokens as k-means takes them, and their clusters, shared by several processes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering import FaissKMeans, KMeans, TokenProjection
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.store.joined_stores import PatchTokens
from leopart_kit.evaluation.store.kept_labels import Found, kept_labels
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.store.token_share import TokenShare
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet


class TokenPoints:
    """Tokens after normalisation, standardising and PCA, of which each process holds a share.

    All is made when it is first asked for, by all processes at once.

    Args:
        mask: bool `[N, h, w]`, the tokens to cluster; None takes all.
        projected_as: others whose projection is taken; by default it is fitted on all tokens.
        processes: those that share the work. faiss knows no shares: with it each holds all.
    """

    def __init__(
        self,
        tokens: PatchTokens,
        settings: TokenClustering,
        *,
        mask: np.ndarray | None = None,
        projected_as: TokenPoints | None = None,
        device: str | torch.device = "cpu",
        track: Track = quiet,
        processes: Processes = ALONE,
    ) -> None:
        self._projected_as = projected_as
        self.tokens, self.settings = tokens, settings
        self.device, self.track = device, track
        self.processes = processes if settings.engine == "leopart_kit" else ALONE
        self.share = TokenShare(tokens, self.processes, mask)

    @cached_property
    def projection(self) -> TokenProjection:
        """Fitted on the tokens of all processes."""
        if self._projected_as is not None:
            return self._projected_as.projection
        return TokenProjection.fit(
            TokenShare(self.tokens, self.processes).chunks,
            l2_normalize=self.settings.l2_normalize,
            standardize=self.settings.standardize,
            pca_dim=self.settings.pca_dim,
            processes=self.processes,
        )

    @cached_property
    def points(self) -> Tensor:
        """The share of this process, float32 `[n, d]`, mapped from a passing file.

        Raises:
            OSError: the disk has too little space; carries the name of the folder.
        """
        return self.share.project(self.projection)

    def inside(self, mask: np.ndarray) -> TokenPoints:
        """The points of a mask `[N, h, w]`, by the same projection."""
        return TokenPoints(
            self.tokens,
            self.settings,
            mask=mask,
            projected_as=self,
            device=self.device,
            track=self.track,
            processes=self.processes,
        )

    def kept_clusters(
        self, num_clusters: int, seed: int, cache: StageCache, stage: str, key: Mapping[str, Any]
    ) -> tuple[Path, dict[str, Any]]:
        """File of the clusters of all points, and a report; see `kept_labels`."""

        def compute() -> Found:
            return cluster_points(
                self.points,
                self.settings,
                num_clusters,
                seed,
                device=self.device,
                track=self.track,
                processes=self.processes,
            )

        key = {**key, "num_clusters": num_clusters, "seed": seed}
        return kept_labels(cache, stage, key, self.share, compute, self.processes)


def cluster_points(
    points: Tensor,
    protocol: TokenClustering,
    num_clusters: int,
    seed: int,
    *,
    device: str | torch.device = "cpu",
    track: Track = quiet,
    processes: Processes = ALONE,
) -> Found:
    """One k-means of `[M, d]`: labels int32 `[M]` and what to report of it.

    Several processes give a share of the points each, and get the labels of that.
    """
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
        kmeans = KMeans(num_clusters, **settings, device=device, processes=processes)
    labels = kmeans.fit(points).predict(points).to("cpu", torch.int32)
    sizes = processes.sum(torch.bincount(labels, minlength=num_clusters)).numpy()
    return labels.numpy(), {
        "seed": seed,
        "inertia": float(kmeans.inertia),
        "points_used": int(kmeans.points_used),
        "empty_clusters": int((sizes == 0).sum()),
        "largest_cluster_percent": round(100 * float(sizes.max() / sizes.sum()), 3),
    }
