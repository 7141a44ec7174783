"""Curves as a table for spreadsheets and pandas, in `output_dir/metrics.csv`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leopart_kit.whole_file import whole_file


class CsvLogger:
    """A row each time something is logged, a column each value; empty where a row has none.

    A value that was never logged before is a new column at the right: then the file is written
    anew. Otherwise a row is added, which is on its way to the disk when `write` returns.
    """

    def __init__(self, output_dir: Path, resumed_step: int, about: Mapping[str, Any]) -> None:
        self.place = output_dir / "metrics.csv"
        kept = [row for row in self._rows() if int(row["step"]) <= resumed_step]
        self._columns = list(kept[0]) if kept else ["step"]
        self._write_all(kept)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `Logger`."""
        new = [name for name in values if name not in self._columns]
        if new:
            rows = self._rows()
            self._columns += new
            self._write_all(rows)
        with self.place.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns).writerow({"step": step, **values})

    def close(self, failed: bool) -> None:
        """See `Logger`."""

    def _rows(self) -> list[dict[str, str]]:
        """The whole rows of the file; the last may be cut off where a run was killed."""
        if not self.place.exists():
            return []
        with self.place.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            row for row in rows if None not in row.values() and str(row.get("step")).isdecimal()
        ]

    def _write_all(self, rows: list[dict[str, str]]) -> None:
        with (
            whole_file(self.place) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


PART = CsvLogger
