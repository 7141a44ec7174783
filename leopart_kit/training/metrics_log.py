"""The curves of a run: `metrics.jsonl`, one object a line, and TensorBoard."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from leopart_kit.input_files import parse_json, read_text
from leopart_kit.whole_file import names_file, whole_file

logger = logging.getLogger(__name__)

METRICS_NAME = "metrics.jsonl"


class MetricsLog:
    """Appends scalars to `output_dir/metrics.jsonl` and to `output_dir/tensorboard`.

    resumed_step: lines beyond this step were written by a run that was cut off after its last
        checkpoint; they are dropped, because the resumed run writes them again.

    Use it as a context manager. Each line is on its way to the disk when `write` returns.
    """

    def __init__(self, output_dir: Path, resumed_step: int, tensorboard: bool) -> None:
        self._path, self._board_folder = output_dir / METRICS_NAME, output_dir / "tensorboard"
        _drop_later_lines(self._path, resumed_step)
        self._file = self._path.open("a", buffering=1, encoding="utf-8")
        self._board: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, not always wanted

            with names_file(self._board_folder):
                self._board = SummaryWriter(str(self._board_folder), purge_step=resumed_step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values after `step` finished steps; a value that is not finite becomes null.

        Raises:
            OSError: they cannot be written; carries the name of the file or folder.
        """
        finite = {key: value if math.isfinite(value) else None for key, value in values.items()}
        with names_file(self._path):
            self._file.write(json.dumps({"step": step, **finite}) + "\n")
        if self._board is not None:
            with names_file(self._board_folder):
                for key, value in values.items():
                    self._board.add_scalar(key, value, step)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with names_file(self._path):
            self._file.close()
        if self._board is not None:
            with names_file(self._board_folder):
                self._board.close()


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
