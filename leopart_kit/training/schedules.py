"""Schedules are pure functions of the step, so a resumed run needs no state to continue them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


def cosine_schedule(start: float, end: float, num_steps: int, warmup_steps: int = 0) -> Schedule:
    """Half a cosine from `start` to `end` over `num_steps` optimiser steps.

    The first `warmup_steps` rise linearly and reach `start` in their last step; the cosine takes
    the rest. Step 0 is the first; `end` is reached at `num_steps`, that is after the last step,
    and held from there. (SGDR, Loshchilov & Hutter 2017, without restarts.)

    Raises ValueError when there is no step or the warm-up fills them all.
    """
    if num_steps < 1:
        raise ValueError(f"a schedule needs at least one step, got num_steps={num_steps}")
    if not 0 <= warmup_steps < num_steps:
        raise ValueError(f"warmup_steps={warmup_steps} must lie in [0, num_steps={num_steps})")

    def value(step: int) -> float:
        if step < warmup_steps:
            return start * (step + 1) / warmup_steps
        progress = min((step - warmup_steps) / (num_steps - warmup_steps), 1.0)
        return start + (end - start) * 0.5 * (1.0 - math.cos(math.pi * progress))

    return value


@dataclass(frozen=True)
class Schedules:
    """The three quantities that change in every step.

    `learning_rate` is a factor on the peak rate of each parameter group; `momentum` is what an
    EMA teacher keeps of itself.
    """

    learning_rate: Schedule
    weight_decay: Schedule
    momentum: Schedule
