"""Find the parts of a folder of images, which of them are foreground, and what they make up."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_part, plain
from leopart_kit.clustering import (
    cluster_precision,
    cooccurrence,
    detect_communities,
    foreground_clusters,
    label_free_threshold,
    mutual_edges,
)
from leopart_kit.evaluation import (
    AttentionAsTokens,
    FeatureStore,
    Overclustering,
    RunSettings,
    Task,
    attention_masks,
    resize_labels,
)
from leopart_kit.evaluation.token_clustering import check_enough_patches
from leopart_kit.masks import PartModel

logger = logging.getLogger(__name__)


def fit_parts(
    encoder: Encoder, store: FeatureStore, protocol: Overclustering, run: RunSettings
) -> PartModel:
    """The parts of the images in a store."""
    num_clusters = protocol.resolve_num_clusters(0)
    check_enough_patches(num_clusters, len(store), store.tokens.shape[1])
    return PartModel.fit(
        store.chunks,
        num_clusters,
        encoder=encoder,
        resolution=protocol.resolution,
        standardize=protocol.standardize,
        pca_dim=protocol.pca_dim,
        l2_normalize=protocol.l2_normalize,
        metric=protocol.metric,
        num_iterations=protocol.num_iterations,
        num_restarts=protocol.num_restarts,
        max_points_per_cluster=protocol.max_points_per_cluster,
        seed=protocol.seeds[0],
        device=run.device,
        track=run.track,
    )


def build_communities(config: DictConfig) -> dict[str, Any]:
    """The node `communities`: what `detect_communities` takes, and `edge_threshold`.

    Raises:
        ValueError: a value that is no number.
    """
    options = plain(config)
    for name, value in options.items():
        unset = name == "preferred_communities" and value is None
        if name != "method" and not unset and type(value) not in (int, float):
            raise ValueError(f"communities.{name} must be a number, got {value!r}")
    return options


def find_objects(model: PartModel, store: FeatureStore, settings: Mapping[str, Any]) -> PartModel:
    """The model with the communities of its parts in the images of a store.

    Raises:
        ValueError: a setting out of range, or no two parts that are connected.
    """
    threshold = settings["edge_threshold"]
    options = {name: value for name, value in settings.items() if name != "edge_threshold"}
    # Background has no number: it is nobody's neighbour.
    numbers = torch.from_numpy(np.where(model.foreground, np.arange(model.num_clusters), -1))
    maps = (numbers[model.assign(tokens)] for _, tokens in iter_tokens(store))
    weights = mutual_edges(cooccurrence(maps, model.num_clusters), threshold)
    search = partial(detect_communities, weights)
    communities = build_part(search, "communities", options)
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


def build_foreground(config: DictConfig) -> dict[str, Any]:
    """The node `foreground`.

    Raises:
        ValueError: an unknown method, or a value out of range.
    """
    options = plain(config)
    if options["method"] not in ("all", "attention"):
        raise ValueError(f"foreground.method must be all or attention, got {options['method']!r}")
    for name in ("mass", "threshold"):
        value = options[name]
        if name == "threshold" and value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
            raise ValueError(f"foreground.{name} must be a number up to 1, got {value!r}")
    return options


def find_foreground(
    model: PartModel, task: Task, store: FeatureStore, settings: Mapping[str, Any]
) -> PartModel:
    """The model with the parts that lie in the encoder's attention often enough.

    Raises:
        ValueError: the encoder has no attention, or no part is left.
    """
    prior, indices = AttentionAsTokens(task.encoder), store.indices.tolist()
    attention = task.features_of(task.dataset, indices, model.resolution, encoder=prior)
    masks, _ = attention_masks(attention, settings["mass"])
    guess = resize_labels(torch.from_numpy(masks), store.grid)
    maps = torch.stack([model.assign(tokens).to(torch.int32) for _, tokens in iter_tokens(store)])
    precision = cluster_precision(maps, guess, model.num_clusters)
    threshold = settings["threshold"]
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
