"""Loggers of a run's curves besides `metrics.jsonl`; `loggers/NAME.py` is `logger=NAME`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from leopart_kit.parts import find_part, import_named

_PACKAGES = ("leopart_kit.training.loggers",)


class Logger(Protocol):
    """A place for scalars.

    place: the file or folder that it writes, for errors.
    """

    place: Path

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values after `step` finished steps."""
        ...

    def close(self, failed: bool) -> None:
        """The run is over; `failed` if an error or a signal ended it."""
        ...


class MakeLogger(Protocol):
    """A class of loggers.

    Called with the folder of the run, the step that it goes on from (0 for a new one; what was
    logged beyond it is logged again) and what the run follows from, plain values by dotted name.
    """

    def __call__(self, output_dir: Path, resumed_step: int, about: Mapping[str, Any]) -> Logger: ...


def find_loggers(asked: str | Sequence[str]) -> tuple[MakeLogger, ...]:
    """The loggers of these names, or a class of the user's as `package.module:Class`.

    Raises:
        ValueError: an unknown name, or one whose package is not installed.
    """
    return tuple(_find(name) for name in ([asked] if isinstance(asked, str) else asked))


def _find(name: str) -> MakeLogger:
    if ":" in name:
        return import_named(name, "logger")
    try:
        return find_part(_PACKAGES, name, "logger")
    except ImportError as error:
        raise ValueError(
            f"logger={name} needs the package {error.name}: pip install 'leopart-kit[{name}]'"
        ) from error
