"""Linear probe at full size: batch norm and one linear layer, windows of the whole image.

As DINOv3 (Siméoni et al. 2025) and others report it: AdamW over a grid of rates and decays, 40,000
steps of 16 crops of 512 px, windows of 512 px every 341 px at test, masks at their own size.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from leopart_kit.backbones.encoder import grid_size, whole_patches
from leopart_kit.evaluation.protocols.probes.batches import Epoch, augmented_batches
from leopart_kit.evaluation.protocols.probes.checkpoint import HeadsCheckpoint
from leopart_kit.evaluation.protocols.probes.normalized_head import NormalizedHead
from leopart_kit.evaluation.protocols.probes.training import head_loss, is_finite
from leopart_kit.evaluation.protocols.probes.windows import window_logits
from leopart_kit.evaluation.protocols.training_split.choice import log_choice, short_names
from leopart_kit.evaluation.protocols.training_split.training_images import (
    left_out,
    missing_classes,
    training_images,
)
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.predicted_maps import PredictedMaps
from leopart_kit.evaluation.scores.resizing import classes_at
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.evaluation.segmentation_heads import LinearHead
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.metrics import ConfusionMatrix, segmentation_scores
from leopart_kit.settings import (
    Count,
    NotNegatives,
    Positives,
    Seeds,
    ShareRange,
    Size,
    Text,
    settings,
)

logger = logging.getLogger(__name__)

_KEPT_EVERY = 500  # steps between two checkpoints


@settings
class LinearFull:
    """Batch norm and one linear layer on frozen tokens, scored at each mask's own size."""

    name: ClassVar[str] = "linear_full"

    train_split: Text | None = "train"
    """Split of the data set on which heads are trained."""
    seeds: Seeds = (0,)
    """One training each: crops, their order and the held-out images."""
    resolution: Size = (512, 512)
    """`[H, W]` of crops and windows, in pixels."""
    score_resolution: Size = (512, 512)
    """`[H, W]` of a second score and of the maps that are kept; the headline is at full size."""
    stride: Count = 341
    """Pixels from one window to the next at test."""
    learning_rates: Positives = (1e-4, 3e-4, 1e-3)
    """Of AdamW; each is tried with each decay."""
    weight_decays: NotNegatives = (1e-3, 1e-2)
    """Of AdamW; each is tried with each rate."""
    holdout: Annotated[float, Field(gt=0, le=0.9)] = 0.1
    """Share of the training images that choose among the heads; none is trained on them."""
    iterations: Count = 40_000
    """Steps; all heads share the crops."""
    batch_size: Count = 16
    """Crops a step."""
    crop_scale: ShareRange = (0.25, 1.0)
    """`[low, high]` of a crop's share of the image area."""

    def measure(self, task: Task) -> Measurement:
        """Train all heads of the grid on `task.train`, keep the best on held-out images, score it.

        Raises:
            ValueError: no training images with masks, or too few to hold some out; training that
                diverges at every rate.
        """
        clock = Clock()
        work = _Training(self, task)
        found = {seed: work.best(seed) for seed in self.seeds}
        heads = {seed: one.head for seed, one in found.items()}
        clock.lap("training")
        indices = np.array(task.usable)

        @torch.inference_mode()
        def logits_of(row: int) -> dict[int, Tensor]:
            image = task.dataset.load_image(int(indices[row]))
            return window_logits(task, heads, image, work.window, self.stride)

        maps = PredictedMaps(task, len(indices), self.score_resolution, logits_of, classes_at)
        scored = maps.score(indices, self.seeds, self.resolution, self.score_resolution)
        clock.lap("scoring")
        return Measurement(
            indices=indices,
            labels_used=LabelsUsed(fit=True, select=False, match=False),
            timing_seconds=clock.seconds,
            scored=full_size_first(scored),
            details={
                "training_images": len(work.labels.usable),
                "chosen": [{"seed": seed, "setting": one.name} for seed, one in found.items()],
                "miou_on_held_out_images": {str(s): dict(one.tried) for s, one in found.items()},
                "training_images_left_out": left_out(work.train, work.labels.broken),
                "classes_missing_from_train": missing_classes(work.labels, scored),
            },
            heads=heads,
            **maps.kept(work.train.class_names),
        )


def check_batches(num_images: int, protocol: LinearFull, patch_size: int) -> None:
    """Raise `ValueError` for a batch of one token: batch norm cannot learn from it."""
    smallest = num_images % protocol.batch_size or min(protocol.batch_size, num_images)
    if smallest == 1 and grid_size(*protocol.resolution, patch_size) == (1, 1):
        raise ValueError(
            f"protocol.batch_size {protocol.batch_size} leaves a batch of one image, and "
            f"protocol.resolution {list(protocol.resolution)} is one patch of {patch_size} px: "
            "batch norm needs more; raise one of the two"
        )


class _Best(NamedTuple):
    """The head that did best on held-out images, its name, and the mIoU of each there."""

    head: LinearHead
    name: str
    tried: Mapping[str, float]


class _Training:
    """The heads of a grid, trained together on the same crops; what is done is kept on disk."""

    def __init__(self, protocol: LinearFull, task: Task) -> None:
        self.protocol, self.task = protocol, task
        self.train = training_images(task)
        self.labels = task.labels_of(self.train)
        images = len(self.labels.usable)
        self.held = round(protocol.holdout * images)
        if not 0 < self.held < images:
            raise ValueError(
                f"{images} training images cannot be split to choose a head (holdout "
                f"{protocol.holdout:g}): raise protocol.holdout or use more images"
            )
        check_batches(images - self.held, protocol, task.encoder.patch_size)
        self.window = whole_patches(protocol.resolution, task.encoder.patch_size)
        key = {
            "encoder": task.encoder.fingerprint(),
            "train": self.train.fingerprint(),
            "masks": self.train.mask_fingerprint(),
            "window": self.window,
            "protocol": {k: v for k, v in asdict(protocol).items() if k not in _OF_SCORING},
        }
        self.cache = StageCache(task.cache_dir / "linear_full", key, task.run.processes)
        self.grid = [(r, d) for r in protocol.learning_rates for d in protocol.weight_decays]

    def best(self, seed: int) -> _Best:
        """Train the heads of a seed, or take the best of them from disk."""
        checkpoint = self.cache.path("heads", {"seed": seed}).with_suffix(".pt")
        found = self.cache.get("heads", {"seed": seed}, lambda: self._choose(seed, checkpoint))
        head = LinearHead(self.task.encoder.embed_dim, self.train.num_classes)
        state = {name: torch.from_numpy(found[name]) for name in head.state_dict()}
        head.load_state_dict(state)
        names = self._names()
        tried = dict(zip(names, found["miou"].tolist(), strict=True))
        name = names[int(found["chosen"])]
        log_choice(seed, tried, name)
        return _Best(head.to(self.task.run.device).eval(), name, tried)

    def _names(self) -> list[str]:
        """Names of the heads, in the order of the grid."""
        rates, decays = (
            short_names(values)
            for values in (self.protocol.learning_rates, self.protocol.weight_decays)
        )
        return [f"rate {rate}, decay {decay}" for rate in rates for decay in decays]

    def _choose(self, seed: int, checkpoint: Path) -> dict[str, np.ndarray]:
        order = np.random.default_rng(seed).permutation(self.labels.usable)
        held, rest = order[: self.held].tolist(), order[self.held :].tolist()
        heads = self._fit(rest, seed, checkpoint)
        scores = [self._miou(head.folded(), held) if is_finite(head) else -1.0 for head in heads]
        if max(scores) < 0:
            raise ValueError("training diverged at every rate: lower protocol.learning_rates")
        chosen = int(np.argmax(scores))  # the first of equal ones
        best = heads[chosen].folded().cpu()
        state = {name: value.numpy() for name, value in best.state_dict().items()}
        checkpoint.unlink(missing_ok=True)
        return {**state, "miou": np.maximum(scores, 0.0), "chosen": np.array(chosen)}

    def _fit(self, images: Sequence[int], seed: int, checkpoint: Path) -> list[NormalizedHead]:
        protocol, run = self.protocol, self.task.run
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = NormalizedHead(self.task.encoder.embed_dim, self.train.num_classes)
        heads = [NormalizedHead(first.norm.num_features, self.train.num_classes) for _ in self.grid]
        for head in heads:
            head.load_state_dict(first.state_dict())
            head.to(run.device).train()
        optimisers = [
            torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=decay)
            for head, (rate, decay) in zip(heads, self.grid, strict=True)
        ]
        kept_on_disk = HeadsCheckpoint(checkpoint, "step", heads, optimisers)
        start, _ = kept_on_disk.resume()
        batches = augmented_batches(
            self.task.encoder,
            self.train,
            images,
            resolution=self.window,
            size=self.window,
            crop_scale=protocol.crop_scale,
            batch_size=protocol.batch_size,
            seed=seed,
            num_workers=run.workers,
            device=run.device,
        )
        steps_an_epoch = -(-len(images) // protocol.batch_size)
        steps = range(start, protocol.iterations)
        stream = _endless(batches, start, steps_an_epoch)
        for step in run.track(steps, "training heads", len(steps)):
            tokens, targets = next(stream)
            tokens, targets = tokens.to(run.device), targets.to(run.device)
            for head, optimiser, (rate, _) in zip(heads, optimisers, self.grid, strict=True):
                for group in optimiser.param_groups:  # a cosine to 0
                    group["lr"] = rate * (1 + math.cos(math.pi * step / protocol.iterations)) / 2
                optimiser.zero_grad()
                head_loss(head(tokens), targets).backward()
                optimiser.step()
            if (step + 1) % _KEPT_EVERY == 0:
                kept_on_disk.save(step + 1)
        return [head.eval() for head in heads]

    @torch.inference_mode()
    def _miou(self, head: LinearHead, images: Sequence[int]) -> float:
        """mIoU in percent over the classes present, at full size."""
        protocol, classes = self.protocol, self.train.num_classes
        counts = ConfusionMatrix(classes, classes)
        for index in images:
            image, mask = self.train.load_image(index), self.train.load_mask(index)
            assert mask is not None
            logits = window_logits(self.task, {0: head}, image, self.window, protocol.stride)[0]
            counts.update(mask, classes_at(logits, (mask.shape[0], mask.shape[1])))
        return segmentation_scores(counts.counts, torch.arange(classes)).miou_present


_OF_SCORING = ("seeds", "score_resolution", "train_split")


def full_size_first(scored: Scored) -> Scored:
    """The scores with those at each mask's own size as the headline."""
    ordered = sorted(scored.scores, key=lambda table: table.resolution != "full")
    counts = {t.resolution: scored.per_image[t.resolution] for t in ordered}
    return replace(scored, scores=tuple(ordered), per_image=counts, confusion=None)


def _endless(batches: Epoch, start: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of one epoch after another, from a step on."""
    number, skipped = divmod(start, steps)
    while True:
        for place, batch in enumerate(batches(number)):
            if place >= skipped:
                yield batch
        number, skipped = number + 1, 0


PART = LinearFull
