"""Settings of a training run."""

from __future__ import annotations

from pydantic import Field

from leopart_kit.settings import (
    Count,
    NotNegative,
    Positive,
    Probability,
    Seed,
    Text,
    Whole,
    settings,
)
from leopart_kit.training.schedules import Schedules, cosine_schedule


@settings
class TrainingSettings:
    """Numbers of the training loop; the defaults are Leopart's (Ziegler & Asano 2022, section 4).

    Steps are optimiser steps: each consumes `accumulate_steps` batches in every process.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    max_steps: Count
    """Steps after which the schedules end and training stops."""
    seed: Seed = Field(default=0, exclude=True)
    """Of the dropout and other randomness inside the method; the loader has its own."""
    accumulate_steps: Count = 1
    """Batches a step."""
    clip_norm: Positive | None = None
    """Largest norm of all gradients together; null leaves them alone."""
    warmup_steps: Whole = 0
    """Linear rise of the learning rate before its cosine."""
    final_learning_rate: NotNegative = 0.0
    """End of the cosine, as a fraction of each group's peak."""
    scale_learning_rate: Count | None = None
    """Images a step, over all processes, for which the learning rates are stated: they grow with
    the images a step that there are (linear rule, Goyal et al. 2017); null: rates as stated."""
    weight_decay: NotNegative = 0.04
    """At the start of its cosine."""
    final_weight_decay: NotNegative = 0.5
    """At its end."""
    momentum: Probability = 0.9995
    """Of an EMA teacher, at the start of its cosine."""
    final_momentum: Probability = 1.0
    """At its end; 1: a teacher that stands still."""
    compile: bool = False
    """Pass the method through torch.compile."""
    checkpoint_every: Count = 500
    """Steps between checkpoints."""
    keep_checkpoints: Count = 2
    """Checkpoints that stay on disk."""
    log_every: Count = 10
    """Steps between lines of metrics.jsonl."""
    evaluate_every: Count = 500
    """Steps between evaluations."""
    resume: Text = "auto"
    """auto goes on from the newest checkpoint of the output folder, never refuses a folder that has
    some, anything else is the path of a checkpoint."""

    def __post_init__(self) -> None:
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"warmup_steps must be below trainer.max_steps={self.max_steps}, got "
                f"{self.warmup_steps}; lower it, or set trainer.max_steps or epochs higher"
            )

    def rate_factor(self, images_per_step: int) -> float:
        """Factor of learning rates for so many images a step over all processes."""
        stated_for = self.scale_learning_rate
        return 1.0 if stated_for is None else images_per_step / stated_for

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
