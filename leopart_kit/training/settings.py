"""The free numbers of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from leopart_kit.training.schedules import Schedules, cosine_schedule


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how to train; the defaults are Leopart's (Ziegler & Asano 2022, section 4).

    Steps are optimiser steps: each consumes `accumulate_steps` batches in every process.

    max_steps: where the schedules end and training stops.
    seed: of the dropout and other randomness inside the method; the loader has its own.
    clip_norm: largest norm of all gradients together, None to leave them alone.
    warmup_steps: linear rise of the learning rate before its cosine.
    final_learning_rate: end of the cosine, as a fraction of each group's peak.
    weight_decay, final_weight_decay, momentum, final_momentum: ends of their cosines.
    compile: pass the method through `torch.compile`.
    checkpoint_every, keep_checkpoints: steps between checkpoints, and how many stay on disk.
    log_every, evaluate_every: steps between lines of the metrics, and between evaluations.
    resume: "auto" continues from the newest checkpoint of the output folder if there is one,
        "never" refuses a folder that has some, anything else is the path of a checkpoint.

    Raises ValueError for a number out of range.
    """

    max_steps: int
    seed: int = 0
    accumulate_steps: int = 1
    clip_norm: float | None = None
    warmup_steps: int = 0
    final_learning_rate: float = 0.0
    weight_decay: float = 0.04
    final_weight_decay: float = 0.5
    momentum: float = 0.9995
    final_momentum: float = 1.0
    compile: bool = False
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    log_every: int = 10
    evaluate_every: int = 500
    tensorboard: bool = True
    resume: str = "auto"

    def __post_init__(self) -> None:
        positive = (
            "max_steps",
            "accumulate_steps",
            "checkpoint_every",
            "keep_checkpoints",
            "log_every",
            "evaluate_every",
        )
        for name in positive:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be positive or None, got {self.clip_norm}")
        for name in ("momentum", "final_momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        self.schedules()

    def schedules(self) -> Schedules:
        """Cosine schedules from these numbers, for learning rate, weight decay and momentum."""
        return Schedules(
            learning_rate=cosine_schedule(
                1.0, self.final_learning_rate, self.max_steps, self.warmup_steps
            ),
            weight_decay=cosine_schedule(
                self.weight_decay, self.final_weight_decay, self.max_steps
            ),
            momentum=cosine_schedule(self.momentum, self.final_momentum, self.max_steps),
        )
