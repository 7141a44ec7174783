"""Progress for long loops, without printing below the command line.

A long loop takes a `Track`: a callable that wraps an iterable. The default, `quiet`, yields the
items and nothing else; the command line passes `rich_progress`, which draws a bar with the rate
and the time left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class Track(Protocol):
    """Wraps an iterable of `total` items; the description names what is being worked on."""

    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterable[T]: ...


def quiet(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Yield the items and show nothing."""
    return items


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s", style="progress.data.speed")


def rich_progress(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items under a bar on standard error: done, rate, elapsed and remaining time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description=description)
