"""The live line of a training run; silent unless the command line asks for it."""

from __future__ import annotations

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

# Called after each step with: finished steps, loss, images a second.
Report = Callable[[int, float, float], None]
# Opened with: finished steps at the start, steps in total.
TrainingProgress = Callable[[int, int], AbstractContextManager[Report]]


@contextmanager
def quiet_progress(completed: int, total: int) -> Iterator[Report]:
    """Show nothing."""
    yield lambda step, loss, images_per_second: None


@contextmanager
def training_bar(completed: int, total: int) -> Iterator[Report]:
    """A bar on standard error: steps, loss, images a second, elapsed time and time left."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}  {task.fields[rate]:.1f} images/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", completed=completed, total=total, loss=float("nan"), rate=0.0)
        yield lambda step, loss, images_per_second: bar.update(
            task, completed=step, loss=loss, rate=images_per_second
        )
