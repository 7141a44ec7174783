"""The heads of a probe: the learning rate chosen on held-out images, one head for every seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leopart_kit.data import ClassHistogram
from leopart_kit.evaluation.protocols.probes.batches import (
    Epoch,
    augmented_batches,
    small_targets,
    stored_batches,
    tokens_of,
)
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.evaluation.protocols.probes.training import fit_heads, is_finite
from leopart_kit.evaluation.protocols.training_split.choice import short_names
from leopart_kit.evaluation.protocols.training_split.training_images import training_images
from leopart_kit.evaluation.scores.resizing import classes_at
from leopart_kit.evaluation.segmentation_heads import FcnHead, LinearHead
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Task
from leopart_kit.metrics import ConfusionMatrix, segmentation_scores

logger = logging.getLogger(__name__)

Head = LinearHead | FcnHead
MakeHead = Callable[[int, int], Head]  # from D and C

_RATED_BATCHES = 8  # of the measured images, in the released code's choice of an epoch
# Settings that say how a head is measured and not how it is trained.
_OF_SCORING = ("seeds", "score_resolution", "head", "learning_rate")


class HeadTraining:
    """Trains heads on the training images of a task; what is done is kept beside the features.

    Attributes:
        labels: what the masks of the training images hold.
        store: patch tokens of those that can be used; a place is a row of its `indices`.

    Raises:
        ValueError: there are no training images, or they have no masks.
    """

    def __init__(
        self, settings: ProbeSettings, task: Task, measured: FeatureStore, make_head: MakeHead
    ) -> None:
        self.settings, self.task, self.make_head = settings, task, make_head
        self.measured = measured
        self.dataset = training_images(task)
        self.labels: ClassHistogram = task.labels_of(self.dataset)
        self.store = task.features_of(self.dataset, self.labels.usable, settings.resolution)
        used = {k: v for k, v in asdict(settings).items() if k not in _OF_SCORING}
        # Not shared: every process trains the heads of its own seeds.
        self.cache = StageCache(
            self.store.folder / "stages",
            {
                "masks": self.dataset.mask_fingerprint(),
                "images": self.store.indices.tolist(),
                "settings": used,
                "head": type(make_head(1, 1)).__name__,
            },
        )

    def rate(self) -> tuple[float, Mapping[str, float]]:
        """The learning rate, and the mIoU on held-out images of every one that was tried."""
        settings, tried = self.settings, self.settings.learning_rates
        if settings.learning_rate is not None:
            return settings.learning_rate, {}
        key = {"seed": settings.seeds[0]}
        checkpoint = self.cache.path("learning_rate", key).with_suffix(".pt")
        found = self.task.run.processes.once(
            lambda: self.cache.get("learning_rate", key, lambda: self._try_rates(checkpoint))
        )
        scores = found["miou"].tolist()
        best = tried[int(np.argmax(scores))]
        if len(tried) > 1 and best in (min(tried), max(tried)):
            logger.warning(
                "learning rate %g is at the end of those tried, %s: another may be better; widen "
                "protocol.learning_rates",
                best,
                list(tried),
            )
        return best, dict(zip(short_names(tried), scores, strict=True))

    def heads(self, rate: float) -> dict[int, Head]:
        """One head a seed; several processes train a share of the seeds each."""
        processes, seeds = self.task.run.processes, self.settings.seeds
        states = processes.join([self._head_state(s, rate) for s in processes.share(seeds)])
        return {
            seed: self._filled({name: torch.from_numpy(value) for name, value in state.items()})
            for seed, state in zip(seeds, states, strict=True)
        }

    def _head_state(self, seed: int, rate: float) -> dict[str, np.ndarray]:
        released = self.settings.selection == "as_released"
        key: dict[str, Any] = {"seed": seed, "learning_rate": rate}
        if released:
            key["measured"] = [self.measured.folder.name, self.measured.indices.tolist()]
            key["measured_masks"] = self.task.dataset.mask_fingerprint()

        def compute() -> dict[str, np.ndarray]:
            [head] = fit_heads(
                [self._new_head(seed)],
                [rate],
                self._batches(self._share(seed), seed),
                self.settings,
                seed=seed,
                checkpoint=self.cache.path("head", key).with_suffix(".pt"),
                rate=self._miou_of_first_batches if released else None,
                device=self.task.run.device,
                track=self.task.run.track,
            )
            if not is_finite(head):
                raise ValueError(
                    f"the training of the head diverged at learning rate {rate:g}: lower "
                    "protocol.learning_rate, or set it to null to have it chosen"
                )
            return {name: value.cpu().numpy() for name, value in head.state_dict().items()}

        return self.cache.get("head", key, compute)

    def _new_head(self, seed: int) -> Head:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make_head(self.store.embed_dim, self.dataset.num_classes)

    def _filled(self, state: Mapping[str, Tensor]) -> Head:
        head = self._new_head(0)
        head.load_state_dict(dict(state))
        return head.to(self.task.run.device).eval()

    def _share(self, seed: int) -> np.ndarray:
        """Places of the images that a seed may see."""
        order = np.random.default_rng(seed).permutation(len(self.store))
        return order[: max(1, round(self.settings.train_share * len(order)))]

    def _try_rates(self, checkpoint: Path) -> dict[str, np.ndarray]:
        settings, seed = self.settings, self.settings.seeds[0]
        places = self._share(seed)
        held = round(settings.holdout * len(places))
        if not 0 < held < len(places):
            raise ValueError(
                f"{len(places)} training images cannot be split to choose a learning rate "
                f"(holdout {settings.holdout:g}): set protocol.learning_rate or use more images"
            )
        rates = settings.learning_rates
        heads = fit_heads(
            [self._new_head(seed) for _ in rates],
            rates,
            self._batches(places[held:], seed),
            settings,
            seed=seed,
            checkpoint=checkpoint,
            device=self.task.run.device,
            track=self.task.run.track,
        )
        out = places[:held]
        scores = [
            self._miou(head, self.store, out, self.targets[out]) if is_finite(head) else 0.0
            for head in heads
        ]
        named = zip(short_names(rates), scores, strict=True)
        shown = ", ".join(f"{name}: {score:.1f}" for name, score in named)
        logger.info("mIoU on %d held-out images by learning rate: %s", held, shown)
        return {"miou": np.array(scores)}

    @cached_property
    def targets(self) -> Tensor:
        """Masks of the training images at the size of the loss, uint8 `[N, H, W]`."""
        settings = self.settings
        sizes = settings.resolution, settings.train_resolution
        return small_targets(self.dataset, self.store.indices.tolist(), *sizes)

    def _batches(self, places: np.ndarray, seed: int) -> Epoch:
        settings, run = self.settings, self.task.run
        if not settings.augmentation:
            return stored_batches(self.store, self.targets, places, settings.batch_size, seed)
        return augmented_batches(
            self.task.encoder,
            self.dataset,
            self.store.indices[places].tolist(),
            resolution=settings.resolution,
            size=settings.train_resolution,
            crop_scale=settings.crop_scale,
            batch_size=settings.batch_size,
            seed=seed,
            num_workers=run.workers,
            device=run.device,
        )

    def _miou_of_first_batches(self, head: nn.Module) -> float:
        """The score by which Leopart's released code chose an epoch."""
        places = np.arange(len(self._first_targets))
        return self._miou(head, self.measured, places, self._first_targets)

    @cached_property
    def _first_targets(self) -> Tensor:
        """Masks of the first batches of the measured images, as the released code takes them."""
        settings = self.settings
        indices = self.measured.indices[: _RATED_BATCHES * settings.batch_size].tolist()
        sizes = settings.resolution, settings.train_resolution
        return small_targets(self.task.dataset, indices, *sizes)

    @torch.inference_mode()
    def _miou(
        self, head: nn.Module, store: FeatureStore, places: np.ndarray, targets: Tensor
    ) -> float:
        """mIoU in percent over the classes present, at the size of the loss."""
        counts = ConfusionMatrix(self.dataset.num_classes, self.dataset.num_classes)
        for place, target in zip(places.tolist(), targets, strict=True):
            tokens = tokens_of(store, np.array([place])).to(self.task.run.device)
            size = self.settings.train_resolution
            counts.update(target, predicted_classes(head(tokens), size))
        classes = torch.arange(self.dataset.num_classes)
        return segmentation_scores(counts.counts, classes).miou_present


def predicted_classes(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits `[1, C, h, w]` → the class of every pixel, int64 `[*size]`."""
    return classes_at(logits[0], size).cpu()
