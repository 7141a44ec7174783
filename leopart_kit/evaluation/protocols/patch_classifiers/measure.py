"""From a classifier of patches to scores: a setting chosen on held-out images, then a last fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.clustering.projection import Standardizer
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.patch_classifiers.patches import Patches, label_patches
from leopart_kit.evaluation.protocols.patch_classifiers.settings import PatchClassifierSettings
from leopart_kit.evaluation.protocols.training_split.choice import log_choice
from leopart_kit.evaluation.protocols.training_split.training_images import (
    left_out,
    missing_classes,
    training_images,
)
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.predicted_maps import PredictedMaps
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import scored_masks
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.metrics import ConfusionMatrix, segmentation_scores

# From patches to learn from, patches to name and settings by their names: classes uint8
# [images, h·w] by each setting. `cache` keeps what takes long.
Classify = Callable[[Patches, Patches, Sequence[str], StageCache], Mapping[str, np.ndarray]]


class PatchClassification:
    """Patches of both splits, and what is done with them.

    Raises:
        ValueError: no training images with masks, or too few of them to hold some out.
    """

    def __init__(self, settings: PatchClassifierSettings, task: Task, classify: Classify) -> None:
        self.settings, self.task, self.classify = settings, task, classify
        self.train = training_images(task)
        self.labels = task.labels_of(self.train)
        patch_size = task.encoder.patch_size
        # As the features: masks are divided into the same patches.
        self.resolution = whole_patches(settings.resolution, patch_size)
        held_out(len(self.labels.usable), settings.holdout, 0)  # before hours of extraction
        self.store = task.features(settings.resolution)
        source = task.features_of(self.train, self.labels.usable, settings.resolution)
        self.cache = StageCache(source.folder / "stages", self._key(source))
        self.patches = self._patches(source, patch_size)
        everything = np.arange(len(self.store))
        self.measured = Patches(self.store, self.patches.scaler, everything)

    def _key(self, source: FeatureStore) -> dict[str, Any]:
        settings = asdict(self.settings)
        return {
            "stores": [source.folder.name, self.store.folder.name],
            "images": [source.indices.tolist(), self.store.indices.tolist()],
            "masks": self.train.mask_fingerprint(),
            "classifier": type(self.settings).__name__,
            "settings": {
                key: settings[key]
                for key in settings
                if key not in ("seeds", "score_resolution", "train_split")
            },
        }

    def _patches(self, source: FeatureStore, patch_size: int) -> Patches:
        run = self.task.run

        def compute() -> dict[str, np.ndarray]:
            size = self.resolution
            indices = source.indices.tolist()
            labels = label_patches(self.train, indices, size, patch_size, run.track)
            scaler = Standardizer().fit(source.chunks())
            return {"labels": labels, "mean": scaler.mean.numpy(), "std": scaler.std.numpy()}

        found = run.processes.once(lambda: self.cache.get("patches", {}, compute))
        state = {name: torch.from_numpy(found[name]) for name in ("mean", "std")}
        scaler = Standardizer.from_state_dict(state)
        return Patches(source, scaler, np.arange(len(source)), found["labels"])

    def choose(self, candidates: Sequence[str], seed: int) -> Mapping[str, float]:
        """mIoU on held-out training images of each setting; nothing is measured for one alone."""
        if len(candidates) == 1:
            return {}

        def compute() -> dict[str, np.ndarray]:
            rest, held = held_out(len(self.patches.store), self.settings.holdout, seed)
            out = self.patches.of(held)
            maps = self.classify(self.patches.of(rest), out, candidates, self.cache)
            scores = [self._miou(self.train, out, maps[name]) for name in candidates]
            return {"miou": np.array(scores)}

        key = {"seed": seed, "candidates": list(candidates)}
        found = self.task.run.processes.once(lambda: self.cache.get("choice", key, compute))
        return dict(zip(candidates, found["miou"].tolist(), strict=True))

    def predict(self, chosen: str) -> np.ndarray:
        """Classes of all patches of the measured images, uint8 `[N, h·w]`."""

        def compute() -> dict[str, np.ndarray]:
            maps = self.classify(self.patches, self.measured, [chosen], self.cache)
            return {"classes": maps[chosen]}

        found = self.task.run.processes.once(
            lambda: self.cache.get("classes", {"chosen": chosen}, compute)
        )
        return found["classes"]

    def _miou(self, dataset: SegmentationDataset, patches: Patches, maps: np.ndarray) -> float:
        """mIoU in percent over the classes present, of pixels at the headline's size."""
        counts = ConfusionMatrix(dataset.num_classes, dataset.num_classes)
        size = self.settings.score_resolution
        for place, classes in zip(patches.places.tolist(), maps, strict=True):
            index = int(patches.store.indices[place])
            target, _ = scored_masks(dataset, index, self.settings.resolution, size)
            grid = torch.from_numpy(classes.astype(np.int64)).unflatten(0, patches.store.grid)
            counts.update(target, resize_labels(grid, size))
        classes = torch.arange(dataset.num_classes)
        return segmentation_scores(counts.counts, classes).miou_present


def held_out(num_images: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the images to fit on and of those held out, each ascending.

    Raises:
        ValueError: one of the two would be empty.
    """
    held = round(share * num_images)
    if not 0 < held < num_images:
        raise ValueError(
            f"{num_images} training images cannot be split to choose a setting (holdout "
            f"{share:g}): raise protocol.holdout or use more images"
        )
    order = np.random.default_rng(seed).permutation(num_images)
    return np.sort(order[held:]), np.sort(order[:held])


def measure_patches(
    settings: PatchClassifierSettings,
    task: Task,
    candidates: Sequence[str],
    classify: Classify,
) -> Measurement:
    """Choose a setting on held-out training images, learn from all of them, score."""
    clock = Clock()
    work = PatchClassification(settings, task, classify)
    clock.lap("features")
    tried = {seed: work.choose(candidates, seed) for seed in settings.seeds}
    chosen = {
        seed: max(scores, key=scores.__getitem__) if scores else candidates[0]
        for seed, scores in tried.items()
    }
    for seed, name in chosen.items():
        if tried[seed]:
            log_choice(seed, tried[seed], name)
    clock.lap("choice")
    found = {name: work.predict(name) for name in dict.fromkeys(chosen.values())}
    clock.lap("classification")
    store = work.store

    def maps_of(row: int) -> dict[int, torch.Tensor]:
        return {
            seed: torch.from_numpy(found[name][row].astype(np.int64)).unflatten(0, store.grid)
            for seed, name in chosen.items()
        }

    sizes = settings.resolution, settings.score_resolution
    maps = PredictedMaps(task, len(store), sizes[1], maps_of, resize_labels)
    scored = maps.score(store.indices, settings.seeds, *sizes)
    clock.lap("scoring")
    broken = {**work.labels.broken, **work.patches.store.broken}
    return Measurement(
        indices=store.indices,
        labels_used=LabelsUsed(fit=True, select=False, match=False),
        timing_seconds=clock.seconds,
        scored=scored,
        details={
            "training_images": len(work.patches.store),
            "training_patches": len(work.patches.classes()),
            "chosen": [{"seed": seed, "setting": name} for seed, name in chosen.items()],
            "miou_on_held_out_images": {str(seed): dict(s) for seed, s in tried.items()},
            "training_images_left_out": left_out(work.train, broken),
            "classes_missing_from_train": missing_classes(work.labels, scored),
        },
        broken=store.broken,
        **maps.kept(work.train.class_names),
    )
