"""A program that trains a part of a run, in as many processes as it is started in."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from leopart_kit.methods import Leopart, LeopartSettings, Method, StepOutput
from leopart_kit.training import (
    SeededSamples,
    TrainingInterrupted,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from tests.methods.tiny_clusterer import tiny_clusterer
from tests.training.tiny_leopart import VIEWS, Images
from tests.training.tiny_training import TinyMethod, Vectors, add_noise

STEPS, IMAGES_PER_STEP = 12, 6
QUEUE = 240
"""Embeddings over all processes; a step stores ten of each image, so that four fill it."""


class Noting:
    """Images that write their numbers down, a line each, as they are read."""

    def __init__(self, images: Any, file: Path) -> None:
        self.images, self.file = images, file

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        with self.file.open("a") as opened:
            opened.write(f"{index}\n")
        return self.images[index]


class StopInTheMiddle:
    """A method that is asked to stop in the middle of a step."""

    at = STEPS

    def forward(self, batch: Any, step: int) -> StepOutput:
        if step == self.at:
            signal.raise_signal(signal.SIGUSR1)
        return super().forward(batch, step)  # pyright: ignore[reportAttributeAccessIssue]


class Stopped(StopInTheMiddle, Leopart):
    """Leopart."""


class StoppedTiny(StopInTheMiddle, TinyMethod):
    """The tiny method."""


# A checkpoint names the class of the method.
Stopped.__name__, StoppedTiny.__name__ = "Leopart", "TinyMethod"


def train_part(kind: str, output_dir: Path, batch_size: int, until: int, seed: int = 0) -> None:
    """Go on until so many steps of `STEPS` are done; "leopart" has a queue, "tiny" draws nothing.

    `output_dir/images-until{STEP}-{RANK}` gets the numbers of the images that are read.
    """
    fabric = build_fabric("cpu")
    output_dir.mkdir(parents=True, exist_ok=True)
    rank, count = fabric.global_rank, fabric.world_size
    file = output_dir / f"images-until{until}-{rank}"
    method: Method
    if kind == "tiny":
        method = StoppedTiny(dropout=0.0, queue=False)
        samples = SeededSamples(Noting(Vectors(), file), add_noise, seed=11)
    else:
        settings = LeopartSettings(
            backbone_learning_rate=1e-3,
            head_learning_rate=3e-3,
            queue_length=QUEUE,
            foreground="all",
            roi_size=3,
        )
        method = Stopped(tiny_clusterer(), settings)
        samples = SeededSamples(Noting(Images(), file), VIEWS, seed=4)
    method.at = until - 1
    loader = TrainingLoader(samples, batch_size, rank=rank, world_size=count)
    numbers = TrainingSettings(
        max_steps=STEPS,
        momentum=0.9,
        log_every=1,
        seed=seed,
        checkpoint_every=1,
        keep_checkpoints=STEPS,
    )
    with suppress(TrainingInterrupted):
        train(method, loader, numbers, output_dir, fabric=fabric)


if __name__ == "__main__":
    for name in ("tiny", "leopart"):
        train_part(name, Path(sys.argv[1]) / name, int(sys.argv[2]), int(sys.argv[3]))
