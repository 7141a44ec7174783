"""The live line of a training run; silent unless the command line asks for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

logger = logging.getLogger(__name__)

# Called after each step with: finished steps, loss, images a second.
Report = Callable[[int, float, float], None]
# Opened with: finished steps at the start, steps in total.
TrainingProgress = Callable[[int, int], AbstractContextManager[Report]]

_LOG_INTERVAL = 30.0  # seconds


@contextmanager
def quiet_progress(completed: int, total: int) -> Iterator[Report]:
    """Show nothing."""
    yield lambda step, loss, images_per_second: None


@contextmanager
def training_bar(completed: int, total: int) -> Iterator[Report]:
    """A bar on standard error: steps, loss, images a second, elapsed time and time left.

    The bar goes when the loop ends. Without a terminal the same is logged twice a minute.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _logged(completed, total)
        return
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.1f} images/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", completed=completed, total=total, loss=float("nan"), rate=0.0)
        yield lambda step, loss, images_per_second: bar.update(
            task, completed=step, loss=loss, rate=images_per_second
        )


def _logged(completed: int, total: int) -> Report:
    start = last = time.monotonic()

    def report(step: int, loss: float, images_per_second: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LOG_INTERVAL or step >= total:
            return
        last = now
        left = (total - step) * (now - start) / (step - completed)
        logger.info(
            "training: %d of %d steps, loss %.4f, %.1f images/s, %.0f s left",
            *(step, total, loss, images_per_second, left),
        )

    return report
