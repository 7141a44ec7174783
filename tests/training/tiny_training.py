"""A small real method for the tests of the loop, and a program that trains it.

A linear autoencoder whose targets come from an EMA of its encoder, with all kinds of state a
method may have: dropout (global generator), a queue buffer, and a generator of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.methods.method import Method, ParameterGroup, StepOutput, split_by_decay
from leopart_kit.training.engine import build_fabric
from leopart_kit.training.loader import TrainingLoader
from leopart_kit.training.loop import TrainingSummary, train
from leopart_kit.training.metrics_log import read_metrics
from leopart_kit.training.samples import SeededSamples
from leopart_kit.training.settings import TrainingSettings
from leopart_kit.training.stopping import TrainingInterrupted

DIM = 12


class TinyMethod(Method):
    def __init__(self, dropout: float = 0.2, queue: bool = True, hidden: int = 4) -> None:
        super().__init__()
        init = torch.Generator().manual_seed(5)
        self.to_code = nn.Linear(DIM, hidden)
        self.decoder = nn.Linear(hidden, DIM)
        for parameter in self.parameters():
            parameter.data.copy_(0.3 * torch.randn(parameter.shape, generator=init))
        self.teacher = nn.Linear(DIM, hidden).requires_grad_(False)
        self.teacher.load_state_dict(self.to_code.state_dict())
        self.dropout = dropout
        self.uses_queue = queue
        self.queue: Tensor
        self.register_buffer("queue", torch.zeros(6, hidden))
        self.generator = torch.Generator().manual_seed(7)

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        code = self.to_code(nn.functional.dropout(batch, self.dropout))
        target = self.teacher(batch)
        consistency = (code - target).square().mean()
        loss = (self.decoder(code) - batch).square().mean() + 0.1 * consistency
        if self.uses_queue:
            chosen = self.queue[torch.randperm(6, generator=self.generator)[:2]]
            loss = loss + 0.05 * (code @ chosen.T).square().mean()
            self.queue = torch.cat([self.queue[1:], target[:1].detach()])
        return StepOutput(loss, {"consistency": consistency.detach(), "constant": 2.0})

    def parameter_groups(self) -> list[ParameterGroup]:
        decoder = ParameterGroup("decoder", list(self.decoder.parameters()), 3e-3, decayed=False)
        return [*split_by_decay("encoder", self.to_code, 1e-2), decoder]

    def before_step(self, step: int) -> None:
        self.to_code.weight.copy_(nn.functional.normalize(self.to_code.weight, dim=1))

    def after_step(self, step: int, momentum: float) -> None:
        for own, other in zip(self.teacher.parameters(), self.to_code.parameters(), strict=True):
            own.lerp_(other, 1.0 - momentum)

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Any) -> None:
        self.generator.set_state(state)


class Vectors:
    """Fixed random vectors; those listed as broken cannot be read."""

    def __init__(self, num: int = 20, broken: tuple[int, ...] = ()) -> None:
        self.data = torch.randn(num, DIM, generator=torch.Generator().manual_seed(3))
        self.broken = broken

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor:
        if index in self.broken:
            raise BrokenSampleError(f"image_{index}.jpg is truncated")
        return self.data[index]


def add_noise(vector: Tensor) -> Tensor:
    return vector + 0.1 * torch.randn(DIM)


def run_tiny(
    output_dir: Path,
    *,
    method: Method | None = None,
    vectors: Any = None,
    batch_size: int = 4,
    num_workers: int = 0,
    precision: Any = "32-true",
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> tuple[Method, TrainingSummary]:
    """Train for 12 steps unless `settings` says otherwise."""
    fabric = build_fabric("cpu", precision)
    loader = TrainingLoader(
        SeededSamples(Vectors() if vectors is None else vectors, add_noise, seed=11),
        batch_size,
        num_workers=num_workers,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    defaults = {"max_steps": 12, "momentum": 0.9, "log_every": 1}
    own = TinyMethod() if method is None else method
    numbers = TrainingSettings(**{**defaults, **(settings or {})})
    return own, train(own, loader, numbers, output_dir, fabric=fabric, **more)


def losses(output_dir: Path) -> dict[int, float]:
    """Loss by finished step."""
    return {row["step"]: row["loss"] for row in read_metrics(output_dir / "metrics.jsonl")}


class SignalAfter(TinyMethod):
    """Sends this process a signal in the middle of step `at`."""

    def __init__(self, number: signal.Signals, at: int) -> None:
        super().__init__()
        self.number, self.at, self.sent = number, at, False

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        if step == self.at and not self.sent:
            self.sent = True  # a second signal would not be waited for
            os.kill(os.getpid(), self.number)
        return super().forward(batch, step)


# It stands in for TinyMethod, so that its checkpoints continue as a TinyMethod.
SignalAfter.__name__ = "TinyMethod"


class SlowMethod(TinyMethod):
    """Leaves time for a test to signal it."""

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        time.sleep(0.008)
        return super().forward(batch, step)


SlowMethod.__name__ = "TinyMethod"

# What the test of kill -9 and SIGTERM trains, here and in its own process.
CUT_OFF_RUN = {"max_steps": 90, "checkpoint_every": 7, "clip_norm": 0.5}


def train_until_cut_off(output_dir: Path, num_workers: int, accumulate_steps: int) -> None:
    run_tiny(
        output_dir,
        method=SlowMethod(),
        num_workers=num_workers,
        settings={**CUT_OFF_RUN, "accumulate_steps": accumulate_steps},
    )


def train_in_two_processes(output_dir: Path) -> None:
    """A run for the loss curve, one with all kinds of state, and the same one interrupted."""
    plain = TinyMethod(dropout=0.0, queue=False)
    run_tiny(output_dir / "plain", method=plain, batch_size=2, settings={"accumulate_steps": 2})
    run_tiny(output_dir / "whole", batch_size=2)
    first = int(os.environ["RANK"]) == 0
    stopped = TinyMethod() if first else SignalAfter(signal.SIGTERM, at=4)
    try:
        run_tiny(output_dir / "resumed", method=stopped, batch_size=2)
    except TrainingInterrupted as interrupted:
        (output_dir / f"stopped_{os.environ['RANK']}").write_text(str(interrupted.step))
    run_tiny(output_dir / "resumed", batch_size=2)


if __name__ == "__main__":
    if sys.argv[1] == "two_processes":
        train_in_two_processes(Path(sys.argv[2]))
    else:
        train_until_cut_off(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
