"""The stages of unsupervised segmentation, each kept on disk once it has been computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering import ComponentForeground
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.token_clusters.token_points import TokenPoints
from leopart_kit.evaluation.protocols.unsupervised.attention_prior import (
    AttentionAsTokens,
    attention_masks,
)
from leopart_kit.evaluation.protocols.unsupervised.foreground_stage import (
    ForegroundParts,
    foreground_precision,
    raw_settings,
)
from leopart_kit.evaluation.protocols.unsupervised.part_graph import PartGraph
from leopart_kit.evaluation.protocols.unsupervised.settings import UnsupervisedSettings
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import scored_masks
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.joined_stores import JoinedStores
from leopart_kit.evaluation.store.kept_labels import read_labels
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Task

_CLUSTERING = tuple(TokenClustering.__dataclass_fields__)


class Stages:
    """Features, attention, foreground, parts and graphs of the images to score and to fit on.

    The images that are scored come first in every array, those of `task.train` after them.

    Attributes:
        store: patch tokens of the images that are scored.
        attention: bool `[N, h', w']`, the first guess of the foreground.
        attention_store: the attention of every head in the images that are scored.
        confidence: `[N]`, how clearly each image shows one.
    """

    def __init__(self, settings: UnsupervisedSettings, task: Task) -> None:
        self.settings = settings
        self.task = task
        self._foreground_points: tuple[float | None, TokenPoints] | None = None
        self.store = task.features(settings.resolution)
        # Of the training images only those whose masks can be trusted, should labels be asked for.
        self.train_indices: tuple[int, ...] = ()
        if task.train is not None:
            labels = task.labels_of(task.train)
            self.train_indices = labels.usable
        prior = AttentionAsTokens(task.prior or task.encoder)
        self.attention_store = self._attend(prior, task.dataset, self.store)
        stores = [self.store]
        attention = [attention_masks(self.attention_store, settings.attention_mass)]
        if task.train is not None:
            train = task.features_of(task.train, self.train_indices, settings.resolution)
            self.train_indices = tuple(train.indices.tolist())
            stores.append(train)
            trained = self._attend(prior, task.train, train)
            attention.append(attention_masks(trained, settings.attention_mass))
        self.tokens = JoinedStores(stores)
        self.attention, self.confidence = (
            np.concatenate(parts) for parts in zip(*attention, strict=True)
        )
        used = asdict(settings)
        self.cache = StageCache(
            self.store.folder / "stages",
            {
                "stores": [store.folder.name for store in stores],
                "images": [store.indices.tolist() for store in stores],
                "clustering": {name: used[name] for name in _CLUSTERING if name != "seeds"},
                "prior": prior.fingerprint(),
                "attention_mass": settings.attention_mass,
            },
            task.run.processes,
        )

    def _attend(
        self, prior: AttentionAsTokens, dataset: SegmentationDataset, store: FeatureStore
    ) -> FeatureStore:
        """The attention of the images that have tokens."""
        indices = store.indices.tolist()
        return self.task.features_of(dataset, indices, self.settings.resolution, encoder=prior)

    @property
    def scored(self) -> slice:
        """Rows of the images that are scored."""
        return slice(0, len(self.store))

    @property
    def train(self) -> slice:
        """Rows of the training images."""
        return slice(len(self.store), len(self.tokens))

    def foreground_masks(self, threshold: float | None) -> np.ndarray:
        """bool `[N, h, w]` on the grid of the tokens; `threshold` is that of the clusters."""
        if self.settings.foreground == "all":
            return np.ones((len(self.tokens), *self.tokens.grid), dtype=bool)
        if self.settings.foreground == "component":
            return self.component_masks
        if self.settings.foreground == "attention" or threshold is None:
            return resize_labels(torch.from_numpy(self.attention), self.tokens.grid).numpy()
        return self.foreground.masks(threshold)

    @cached_property
    def component_masks(self) -> np.ndarray:
        """One side of the first principal component of all tokens."""
        component = ComponentForeground().fit(self._token_maps())
        return torch.cat([component.predict(maps) for maps in self._token_maps()]).numpy()

    def _token_maps(self) -> Iterator[Tensor]:
        for chunk in self.tokens.chunks():
            yield chunk.unflatten(0, (-1, *self.tokens.grid)).permute(0, 3, 1, 2)

    @cached_property
    def foreground(self) -> ForegroundParts:
        """Clusters of all patches with their precision against the attention."""
        number, size = self.settings.foreground_clusters, self.settings.score_resolution
        raw = self._points_by(raw_settings(self.settings))
        labels = self._clusters(raw, number, 0, "foreground_clusters", {})
        maps = labels.reshape(len(self.tokens), *self.tokens.grid)
        arrays = self.cache.get(
            "foreground_precision",
            {"num_clusters": number},
            lambda: {"precision": foreground_precision(maps, self.attention, number, size)},
        )
        return ForegroundParts(maps, arrays["precision"])

    @cached_property
    def points(self) -> TokenPoints:
        """All tokens as they are clustered."""
        return self._points_by(self.settings)

    def _points_by(self, settings: TokenClustering) -> TokenPoints:
        run = self.task.run
        return TokenPoints(
            self.tokens, settings, device=run.device, track=run.track, processes=run.processes
        )

    def _clusters(
        self, points: TokenPoints, num_clusters: int, seed: int, stage: str, key: dict[str, Any]
    ) -> np.ndarray:
        """int32 `[M]`, the cluster of every point, in every process."""

        def find() -> Path:
            return points.kept_clusters(num_clusters, seed, self.cache, stage, key)[0]

        # faiss clusters in one process, for all.
        alone = self.settings.engine == "faiss"
        return read_labels(self.task.run.processes.once(find) if alone else find())

    def _inside(self, threshold: float | None, mask: np.ndarray) -> TokenPoints:
        """The points of a foreground; those of the last one are kept."""
        if self._foreground_points is None or self._foreground_points[0] != threshold:
            self._foreground_points = threshold, self.points.inside(mask)
        return self._foreground_points[1]

    def parts(self, threshold: float | None, num_clusters: int, seed: int) -> np.ndarray:
        """int32 `[N, h, w]`: 0 for background, 1 … K for the parts of the foreground.

        Raises:
            ValueError: the foreground has fewer patches than there are parts to find.
        """
        mask = self.foreground_masks(threshold)
        if mask.sum() < num_clusters:
            raise ValueError(
                f"the foreground has {mask.sum()} patches, too few for {num_clusters} clusters: "
                "lower foreground_threshold or num_clusters"
            )
        key = {
            "foreground": self.settings.foreground,
            "foreground_clusters": self.settings.foreground_clusters,
            "threshold": threshold,
        }
        inside = self._inside(threshold, mask)
        labels = self._clusters(inside, num_clusters, seed, "part_clusters", key)
        maps = np.zeros(mask.shape, dtype=np.int32)
        maps[mask] = labels + 1
        return maps

    def graph(self, maps: np.ndarray, num_clusters: int) -> PartGraph:
        """The graph of the parts over all images."""
        size = self.settings.score_resolution
        return PartGraph(maps, num_clusters, size, self.settings.neighbourhood)

    @property
    def has_train_labels(self) -> bool:
        """True if there are training images with ground truth."""
        train = self.task.train
        return train is not None and train.num_classes > 0

    @cached_property
    def train_targets(self) -> Tensor:
        """Ground truth of the training images as the protocol scores it, `[n, H, W]`."""
        train, settings = self.task.train, self.settings
        if train is None or not self.has_train_labels:
            raise ValueError("select=labels needs training images with masks; set train_split")
        sizes = settings.resolution, settings.score_resolution
        return torch.stack([scored_masks(train, index, *sizes)[0] for index in self.train_indices])
