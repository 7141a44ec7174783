"""The stages of in-context segmentation, each kept on disk once it has been computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.clustering.nearest_faiss import describe_faiss
from leopart_kit.evaluation.protocols.in_context.memory import (
    Memory,
    MemoryChoice,
    Source,
    build_memory,
)
from leopart_kit.evaluation.protocols.in_context.search import (
    Search,
    exact_search,
    faiss_search,
    search_labels,
)
from leopart_kit.evaluation.protocols.in_context.settings import InContextSettings
from leopart_kit.evaluation.protocols.training_split.augmented_images import AugmentedImages
from leopart_kit.evaluation.protocols.training_split.training_images import (
    left_out,
    missing_classes,
    training_images,
)
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Task


class InContextStages:
    """Features, memories and labels of neighbours.

    Attributes:
        train: the images that are remembered, `labels` what their masks hold.
        store: patch tokens of the images that are labelled.
        sources: by draw (see `InContextSettings.draws`), tokens of the images that are remembered.
    """

    def __init__(self, settings: InContextSettings, task: Task) -> None:
        self.settings, self.task = settings, task
        self.train = training_images(task)
        self.labels = task.labels_of(self.train)
        self.patch_size = task.encoder.patch_size
        # As the features: masks are divided into the same patches.
        self.resolution = whole_patches(settings.resolution, self.patch_size)
        chosen = {
            draw: settings.training_images(self.train, self.labels, draw)
            for draw in settings.draws()
        }
        settings.check_data(min(map(len, chosen.values())), self.patch_size)
        self.store = task.features(settings.resolution)
        self.sources = {draw: self._sources(images) for draw, images in chosen.items()}

    def _sources(self, chosen: Sequence[int]) -> list[Source]:
        settings, sets = self.settings, [self.train]
        if settings.num_augmentations:
            sets = [
                AugmentedImages(self.train, epoch, self.resolution)
                for epoch in range(settings.num_augmentations)
            ]
        return [
            Source(images, self.task.features_of(images, chosen, settings.resolution))
            for images in sets
        ]

    def _key(self, draw: int) -> dict[str, Any]:
        """Identity of the stages of a draw: the images and their masks."""
        stores = [source.store for source in self.sources[draw]]
        return {
            "stores": [store.folder.name for store in stores],
            "images": [store.indices.tolist() for store in stores],
            "masks": self.train.mask_fingerprint(),
        }

    def memory(self, draw: int) -> Memory:
        """The memory of a draw."""
        sources, processes = self.sources[draw], self.task.run.processes
        cache = StageCache(sources[0].store.folder / "stages", self._key(draw), processes)
        memory = build_memory(sources, cache, self._choice(draw), self.task.run.track)
        stores = [source.store for source in sources]
        patches = sum(map(len, stores)) * stores[0].tokens.shape[1]
        self.settings.check_neighbours(len(memory), patches)
        return memory

    def _choice(self, draw: int) -> MemoryChoice:
        return MemoryChoice(self.settings.memory_size, draw, self.patch_size, self.resolution)

    def search(self, memory: Memory, draw: int) -> np.ndarray:
        """Soft labels of every patch of the images to label, float32 `[N, h·w, C]`."""
        settings, run = self.settings, self.task.run

        def make_search() -> Search:
            if settings.index == "exact":
                return exact_search(memory, settings.neighbours, run.device)
            return faiss_search(memory, settings.neighbours)

        cache = StageCache(self.store.folder / "stages", self._key(draw))
        key = {
            "memory": asdict(self._choice(draw)),
            "measured": self.store.indices.tolist(),
            "neighbours": settings.neighbours,
            "temperature": settings.temperature,
            "index": settings.index,
        }
        file = cache.path("in_context", key).with_suffix(".npy")
        return search_labels(memory, self.store, make_search, settings.temperature, file, run)

    def soft_labels(self, labels: Mapping[int, np.ndarray], row: int) -> dict[int, Tensor]:
        """Class scores that `search` found for one image, `[h, w, C]` by draw."""
        return {
            draw: torch.from_numpy(np.array(found[row])).unflatten(0, self.store.grid)
            for draw, found in labels.items()
        }

    def details(
        self, memories: Mapping[int, Memory], scored: Scored, search_seconds: float
    ) -> dict[str, Any]:
        """Facts that a result tells beside scores."""
        settings = self.settings
        sources = [source for found in self.sources.values() for source in found]
        broken = {**self.labels.broken}
        for source in sources:
            broken |= source.store.broken
        shown = np.min([memory.pixels for memory in memories.values()], axis=0)
        names = self.train.class_names
        shares = {
            draw: dict(zip(names, memory.share_of_classes().round(3).tolist(), strict=True))
            for draw, memory in memories.items()
        }
        return {
            "training_images_left_out": left_out(self.train, broken),
            "classes_missing_from_train": missing_classes(
                replace(self.labels, pixels=shown), scored
            ),
            "neighbours": settings.neighbours,
            "temperature": settings.temperature,
            "search_seconds": round(search_seconds, 3),
            "memory": [
                {
                    "seed": seed,
                    "entries": len(memory),
                    "index": describe_faiss(len(memory))
                    if settings.index == "faiss"
                    else settings.index,
                    "training_images": len(self.sources[settings.draw(seed)][0].store),
                    "chosen_by": settings.chosen_by(seed),
                    "percent_of_class": shares[settings.draw(seed)],
                }
                for seed in settings.seeds
                for memory in [memories[settings.draw(seed)]]
            ],
        }
