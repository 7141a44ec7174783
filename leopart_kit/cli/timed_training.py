"""A training of at most so many minutes, from the configuration of `leopart train`.

A pilot run of one pass over the images and at least 20 steps, or a tenth of the time if that is
shorter, tells the seconds of a step, labelling the whole set included. A recipe that would take
longer than it may gets as many steps as fit, so that its schedules end where it ends, and warms up
for a third of them at most. A run that leaves more than a fifth of its time, as after a pilot that
was mostly labelling, is made again with as many steps as fit by its own clock. The same clock ends
a run that turns out slower: the loop reports every finished step, and the report that finds no time
for another one leaves the loop; the network is then as that step has left it.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lightning_fabric import Fabric
from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset
from leopart_kit.cli.run_parts import RunParts, build_loader, build_settings, read_method
from leopart_kit.cli.trained_encoder import build_student
from leopart_kit.data import SegmentationDataset
from leopart_kit.training import (
    TrainingSettings,
    build_fabric,
    seed_everything,
    train,
    training_bar,
)
from leopart_kit.training.progress_bar import Report

logger = logging.getLogger(__name__)

_PILOT_SHARE, _USED_SHARE, _ENOUGH_SHARE = 0.1, 0.95, 0.8
_PILOT_STEPS = 20  # the first ones are slower, and a small set has few in a pass


@dataclass(frozen=True)
class TimedTraining:
    """A network and how it was trained.

    Attributes:
        encoder: the trained one.
        steps: optimiser steps that were made.
        planned_steps: where the schedules end; more than `steps` if time ran out before.
        recipe_steps: what the configuration asks for.
        seconds: of the training alone, without the pilot.
    """

    encoder: Encoder
    steps: int
    planned_steps: int
    recipe_steps: int
    seconds: float


class _OutOfTime(Exception):
    """Leaves the training loop."""


class _Stopwatch:
    """Progress of a run that ends it when its time or its steps are used up."""

    def __init__(self, seconds: float, steps: int | None = None) -> None:
        self.allowed_seconds, self.allowed_steps = seconds, steps
        self.seconds, self.steps = 0.0, 0

    @contextmanager
    def __call__(self, completed: int, total: int) -> Iterator[Report]:
        started = time.perf_counter()
        with training_bar(completed, total) as show:

            def report(step: int, loss: float, images_per_second: float) -> None:
                show(step, loss, images_per_second)
                self.steps, self.seconds = step, time.perf_counter() - started
                if step < total and self._used_up():
                    raise _OutOfTime

            yield report

    def _used_up(self) -> bool:
        no_time = self.seconds + self.seconds_per_step > self.allowed_seconds
        return no_time or self.steps == self.allowed_steps

    @property
    def seconds_per_step(self) -> float:
        return self.seconds / self.steps


def train_within(config: DictConfig, seconds: float, folder: Path) -> TimedTraining:
    """Train as `leopart train` would, in this process; `folder` gets `metrics.jsonl`.

    Raises:
        NonFiniteLoss, TrainingInterrupted: see `leopart_kit.training.train`.
        ValueError: a setting that does not fit, or several processes.
    """
    fabric = build_fabric(
        config.accelerator, "bf16-mixed" if config.precision == "bf16" else "32-true"
    )
    if fabric.world_size > 1:
        raise ValueError("methods are compared in one process: start it without torchrun")
    dataset = build_dataset(config.dataset)
    settings = build_settings(config, len(dataset), fabric.world_size)
    recipe_steps, warmup_steps = settings.max_steps, config.trainer.warmup_steps
    one_pass = max(1, len(dataset) // (config.batch_size * settings.accumulate_steps))
    watch = _Stopwatch(_PILOT_SHARE * seconds, max(_PILOT_STEPS, one_pass))
    _run(config, dataset, settings, fabric, watch)
    planned = 0
    while True:
        fitting = max(1, int(_USED_SHARE * seconds / watch.seconds_per_step))
        if fitting <= planned:
            break
        planned = min(fitting, recipe_steps)
        if planned < recipe_steps:
            logger.info("%d of the recipe's %d steps fit the time", planned, recipe_steps)
            config.trainer.max_steps = planned
            config.trainer.warmup_steps = min(warmup_steps, planned // 3)
        settings = build_settings(config, len(dataset), fabric.world_size)
        watch = _Stopwatch(seconds)
        encoder = _run(config, dataset, settings, fabric, watch, folder)
        if planned == recipe_steps or watch.seconds > _ENOUGH_SHARE * seconds:
            break
    return TimedTraining(encoder, watch.steps, planned, recipe_steps, watch.seconds)


def _run(
    config: DictConfig,
    dataset: SegmentationDataset,
    settings: TrainingSettings,
    fabric: Fabric,
    watch: _Stopwatch,
    keep_in: Path | None = None,
) -> Encoder:
    """One run from its start, in a folder of its own that goes with its checkpoints."""
    with tempfile.TemporaryDirectory(prefix="leopart_kit_") as name:
        output_dir = Path(name)
        config.cache_dir = str(output_dir / "features")
        seed_everything(config.seed)
        asked = read_method(config)
        encoder = build_student(config)
        parts = RunParts(config, encoder, dataset, settings, fabric, output_dir)
        method, samples = parts.build(asked)
        loader = build_loader(config, samples, fabric)
        with suppress(_OutOfTime):
            train(method, loader, settings, output_dir, fabric=fabric, progress=watch)
        if keep_in is not None:
            shutil.copy(output_dir / "metrics.jsonl", keep_in)
    method.eval()
    return method.encoder
