"""Find the parts of a folder of images, which of them are foreground, and what they make up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import (
    cluster_precision,
    cooccurrence,
    detect_communities,
    foreground_clusters,
    label_free_threshold,
    mutual_edges,
)
from leopart_kit.evaluation import FeatureStore, RunSettings, Task, resize_labels
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenKMeans
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import check_enough_patches
from leopart_kit.evaluation.protocols.unsupervised.attention_prior import (
    AttentionAsTokens,
    attention_masks,
)
from leopart_kit.evaluation.protocols.unsupervised.part_graph import CommunityMethod
from leopart_kit.masks import PartModel
from leopart_kit.settings import Count, NotNegative, Positive, Seed, Share, settings

logger = logging.getLogger(__name__)


@settings
class PartSettings(TokenKMeans):
    """k-means that finds the parts."""

    num_clusters: Count = 20
    """Parts."""
    seed: Seed = 0
    """Of the k-means."""


@settings
class ForegroundSettings:
    """Parts that count."""

    method: Literal["all", "attention"] = "all"
    """all; attention: those on which the CLS token of a vision transformer looks."""
    mass: Share = 0.6
    """Share of an image's attention that is its first guess."""
    threshold: Share | None = None
    """Smallest share of a part inside of it; null: chosen without labels."""


@settings
class CommunitySettings:
    """Objects that parts make up, for export.level=objects."""

    method: CommunityMethod = "infomap"
    """Community detection."""
    edge_threshold: NotNegative = 0.09
    """Share of neighbours at which two parts are connected."""
    markov_time: Positive = 1.0
    """Of infomap; larger: larger objects."""
    resolution: Positive = 1.0
    """Of louvain; larger: smaller objects."""
    preferred_communities: Count | None = None
    """Number of objects that the search is drawn towards."""
    seed: Seed = 0
    """Of the search."""


def fit_parts(
    encoder: Encoder, store: FeatureStore, settings: PartSettings, run: RunSettings
) -> PartModel:
    """The parts of the images in a store."""
    num_clusters = settings.num_clusters
    check_enough_patches(num_clusters, len(store), store.tokens.shape[1])
    return PartModel.fit(
        store.chunks,
        num_clusters,
        encoder=encoder,
        resolution=settings.resolution,
        standardize=settings.standardize,
        pca_dim=settings.pca_dim,
        l2_normalize=settings.l2_normalize,
        metric=settings.metric,
        num_iterations=settings.num_iterations,
        num_restarts=settings.num_restarts,
        max_points_per_cluster=settings.max_points_per_cluster,
        seed=settings.seed,
        device=run.device,
        track=run.track,
    )


def find_objects(model: PartModel, store: FeatureStore, settings: CommunitySettings) -> PartModel:
    """The model with the communities of its parts in the images of a store.

    Raises:
        ValueError: a setting out of range, or no two parts that are connected.
    """
    threshold = settings.edge_threshold
    # Background has no number: it is nobody's neighbour.
    numbers = torch.from_numpy(np.where(model.foreground, np.arange(model.num_clusters), -1))
    maps = (numbers[model.assign(tokens)] for _, tokens in iter_tokens(store))
    weights = mutual_edges(cooccurrence(maps, model.num_clusters), threshold)
    communities = detect_communities(
        weights,
        settings.method,
        seed=settings.seed,
        markov_time=settings.markov_time,
        resolution=settings.resolution,
        preferred_communities=settings.preferred_communities,
    )
    if (communities < 0).all():
        raise ValueError(
            f"no two parts reach communities.edge_threshold={threshold}: lower it, or set "
            "export.level=parts"
        )
    logger.info(
        "objects: %d communities, %d of %d parts belong to none",
        int(communities.max()) + 1,
        int((communities < 0).sum()),
        model.num_clusters,
    )
    return replace(model, communities=communities.numpy())


def find_foreground(
    model: PartModel, task: Task, store: FeatureStore, settings: ForegroundSettings
) -> PartModel:
    """The model with the parts that lie in the encoder's attention often enough.

    Raises:
        ValueError: the encoder has no attention, or no part is left.
    """
    prior, indices = AttentionAsTokens(task.encoder), store.indices.tolist()
    attention = task.features_of(task.dataset, indices, model.resolution, encoder=prior)
    masks, _ = attention_masks(attention, settings.mass)
    guess = resize_labels(torch.from_numpy(masks), store.grid)
    maps = torch.stack([model.assign(tokens).to(torch.int32) for _, tokens in iter_tokens(store)])
    precision = cluster_precision(maps, guess, model.num_clusters)
    threshold = settings.threshold
    if threshold is None:
        threshold = label_free_threshold(precision)
    kept = foreground_clusters(precision, threshold).numpy()
    if not kept.any():
        raise ValueError(
            f"no part reaches foreground.threshold={threshold:g}; the highest is "
            f"{float(precision.nan_to_num(0).max()):.2f}: lower it, or set foreground.method=all"
        )
    logger.info("foreground: %d of %d parts, threshold %.2f", kept.sum(), len(kept), threshold)
    return replace(model, foreground=kept)


def iter_tokens(store: FeatureStore) -> Iterator[tuple[int, Tensor]]:
    """Index and tokens float32 `[h, w, D]` of each image in a store."""
    for index in store.indices.tolist():
        yield index, store.token_map(index)
