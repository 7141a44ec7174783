"""Encoded images in the cells of a table, and its rows as samples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.samples import Sample, name_below
from leopart_kit.identity.stored import AnyFile, StoredFile


def state_of(table: Any) -> tuple[tuple[str, int, int], ...]:
    """The files of a table as they are now."""
    files = [part["filename"] for part in table.cache_files]
    return tuple((f, os.stat(f).st_size, os.stat(f).st_mtime_ns) for f in files)


@dataclass(frozen=True, repr=False)
class Cells:
    """The cells of a table; `state` tells it from one that takes its place."""

    table: Any
    root: str
    state: tuple[tuple[str, int, int], ...]

    def scalar(self, row: int, column: str) -> Any:
        """A cell, not copied."""
        return self.table.data.column(column)[row]


@dataclass(frozen=True, repr=False)
class _Cell(StoredFile):
    """An encoded image in a table."""

    cells: Cells
    row: int
    column: str

    @property
    def container(self) -> str:
        return self.cells.state[0][0] if self.cells.state else self.cells.root

    @property
    def size(self) -> int:
        return self._buffer().size

    def __str__(self) -> str:
        return f"{self.cells.root}/row {self.row} of {self.column}"

    def __repr__(self) -> str:
        return f"{self} {self.cells.state}"

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """See `StoredFile.read`; `BrokenSampleError` for an empty cell."""
        end = None if length is None else start + length
        return self._buffer()[start:end].to_pybytes()

    def _buffer(self) -> Any:
        scalar = _encoded(self.cells.scalar(self.row, self.column))
        if not scalar.is_valid:
            raise BrokenSampleError(f"{self} is empty and not an image; remove the row")
        return scalar.as_buffer()


def _encoded(scalar: Any) -> Any:
    """The bytes of a cell that may hold a path beside them."""
    return scalar["bytes"] if hasattr(scalar, "keys") and scalar.is_valid else scalar


class TableRow:
    """From the number of a row to its sample."""

    def __init__(
        self, cells: Cells, image: str, mask: str | None, key: str | None, split: str
    ) -> None:
        self._cells, self._image, self._mask, self._key = cells, image, mask, key
        self._split, self._digits = split, len(str(len(cells.table) - 1))

    def __call__(self, row: int) -> Sample:
        name = f"{self._split}/{row:0{self._digits}d}"
        if self._key is not None:
            name = name_below(str(self._cells.scalar(row, self._key)))
        has_mask = self._mask is not None and self._cells.scalar(row, self._mask).is_valid
        masks = (self._file(row, str(self._mask)),) if has_mask else ()
        return Sample(name, self._file(row, self._image), masks)

    def _file(self, row: int, column: str) -> AnyFile:
        """The cell, or the file that it names where it holds no bytes itself."""
        scalar = self._cells.scalar(row, column)
        if hasattr(scalar, "keys") and scalar.is_valid and not scalar["bytes"].is_valid:
            path = scalar["path"].as_py() if "path" in scalar else None
            if path:
                above = os.path.dirname(self._cells.root)
                folder = self._cells.root if os.path.isdir(self._cells.root) else above
                return os.path.join(folder, path)
        return _Cell(self._cells, row, column)
