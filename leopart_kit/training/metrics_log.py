"""The curves of a run: `metrics.jsonl`, one object a line, and the loggers that were asked for."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from leopart_kit.input_files import parse_json, read_text
from leopart_kit.training.loggers import Logger, MakeLogger
from leopart_kit.whole_file import names_file, whole_file

logger = logging.getLogger(__name__)

METRICS_NAME = "metrics.jsonl"


class MetricsLog:
    """Appends scalars to `output_dir/metrics.jsonl`, and hands them to loggers.

    resumed_step: lines beyond this step are dropped, since the resumed run writes them again.
    loggers: see `training/loggers`; about: what the run follows from, for them.

    Use it as a context manager. Each line is on its way to the disk when `write` returns.
    """

    def __init__(
        self,
        output_dir: Path,
        resumed_step: int,
        loggers: Sequence[MakeLogger] = (),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = output_dir / METRICS_NAME
        _drop_later_lines(self._path, resumed_step)
        with names_file(output_dir):
            self._loggers = [make(output_dir, resumed_step, about or {}) for make in loggers]
        self._file = self._path.open("a", buffering=1, encoding="utf-8")

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values after `step` finished steps; a value that is not finite becomes null.

        Raises:
            OSError: they cannot be written; carries the name of the file or folder.
        """
        finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
        with names_file(self._path):
            self._file.write(json.dumps({"step": step, **finite}) + "\n")
        for each in self._loggers:
            with names_file(each.place):
                each.write(step, values)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with ExitStack() as stack:  # each is closed, whatever the others come to
            for each in self._loggers:
                stack.callback(_close, each, kind is not None)
            stack.enter_context(names_file(self._path))
            self._file.close()


def _close(each: Logger, failed: bool) -> None:
    with names_file(each.place):
        each.close(failed)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, up to one that was cut off while it was written."""
    rows = []
    for line in read_text(path).splitlines():
        try:
            rows.append(parse_json(line, path))
        except ValueError:
            logger.warning("%s: dropped from the unreadable line %d on", path, len(rows) + 1)
            break
    return rows


def _drop_later_lines(path: Path, resumed_step: int) -> None:
    if not path.exists():
        return
    kept = [row for row in read_metrics(path) if row["step"] <= resumed_step]
    with whole_file(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
