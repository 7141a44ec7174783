"""Progress for long loops, without printing below the command line.

A long loop takes a `Track`: a callable that wraps an iterable. The default, `quiet`, yields the
items and nothing else. The command line passes `rich_progress`, which draws a bar with the rate and
the time left, or writes them into the log where there is no terminal.
"""

from __future__ import annotations

import logging
import time
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

logger = logging.getLogger(__name__)

_LOG_INTERVAL = 30.0  # seconds


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
    """Yield the items under a bar on standard error: done, rate, elapsed and remaining time.

    The bar goes when the loop ends. Without a terminal the same is logged twice a minute.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from _logged(items, description, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=description)


def _logged(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _LOG_INTERVAL and done < total:
            last = now
            rate = done / (now - start)
            left = (total - done) / rate
            logger.info("%s: %d of %d, %.2g/s, %.0f s left", description, done, total, rate, left)
