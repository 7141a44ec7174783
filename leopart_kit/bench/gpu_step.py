"""Steps of Leopart in the training loop, fed by its loader or by a batch that lies ready."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from leopart_kit.backbones import load_encoder
from leopart_kit.data import ImagesOf, MultiCropTransform, SegmentationDataset
from leopart_kit.data.unfinished_views import finish_view, leave_unfinished
from leopart_kit.launch import own_cores
from leopart_kit.methods import (
    Leopart,
    LeopartSettings,
    PatchClusterer,
    ProjectionHead,
    Prototypes,
)
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from leopart_kit.training.progress_bar import Report
from leopart_kit.training.samples import LoadedBatch


class Steps(NamedTuple):
    """Images a second without the first steps, and waits of the host in a step (CUDA only)."""

    images_per_second: float
    waits: float | None


class _Repeated(TrainingLoader):
    """The first batch again and again."""

    def batches(self, first: int = 0) -> Iterator[LoadedBatch]:
        batch = next(iter(super().batches(first)))
        while True:
            yield batch


class _Stopwatch:
    """Progress of a run that times its second half, and has CUDA name what the host waits for."""

    def __init__(self, steps: int, cuda: bool) -> None:
        self.first, self.steps, self.cuda = steps // 2, steps, cuda
        self.seconds, self.start = 0.0, 0.0

    @contextmanager
    def __call__(self, completed: int, total: int) -> Iterator[Report]:
        yield self._report

    def _report(self, step: int, loss: float, images_per_second: float) -> None:
        if step not in (self.first, self.steps):
            return
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("warn" if step == self.first else "default")
        self.seconds = time.perf_counter() - self.start
        self.start = time.perf_counter()


def steps_of_leopart(
    encoder: str,
    dataset: SegmentationDataset,
    device: torch.device,
    output_dir: Path,
    *,
    batch_size: int,
    steps: int,
    repeated: bool,
) -> Steps:
    """Train so many steps with the paper's views (2 × 224 + 4 × 96 px) in bf16.

    Args:
        repeated: one batch that lies ready, in place of the loader's.
    """
    cuda = device.type == "cuda"
    fabric = build_fabric(device.type, "bf16-mixed" if cuda else "32-true")
    network = load_encoder(encoder, "random", precision="bf16" if cuda else "fp32")
    head = ProjectionHead(network.embed_dim), Prototypes(256, 300)
    method = Leopart(PatchClusterer(network, *head), LeopartSettings())
    end = leave_unfinished if cuda else finish_view
    views = MultiCropTransform(mean=network.mean, std=network.std, end=end)
    samples = SeededSamples(ImagesOf(dataset), views, seed=0)
    kind = _Repeated if repeated else TrainingLoader
    workers = own_cores() if cuda and not repeated else 0
    loader = kind(samples, batch_size, num_workers=workers, pin_memory=cuda)
    settings = TrainingSettings(max_steps=steps, log_every=steps, checkpoint_every=steps)
    watch = _Stopwatch(steps, cuda)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        train(method, loader, settings, output_dir, fabric=fabric, progress=watch)
    timed = steps - watch.first
    waits = sum("synchronizing" in str(warning.message) for warning in said) / timed
    return Steps(timed * batch_size / watch.seconds, waits if cuda else None)
