"""New arrays on disk, mapped into memory, with every block of their files reserved.

Writing to a mapped file has no way to say that the disk is full: the system kills the process.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from leopart_kit.whole_file import names_file


def mapped_array(file: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Zeros `shape`, mapped from a new `.npy` file that keeps what is written to them.

    Raises:
        OSError: the disk has too little space, or the file cannot be made; carries its name, and
            no file is left.
    """
    try:
        with names_file(file):
            array = np.lib.format.open_memmap(file, "w+", dtype=dtype, shape=shape)
            with file.open("r+b") as opened:
                _reserve(opened.fileno(), file.stat().st_size)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return array


class RowWriter:
    """Writes rows into the file of a `mapped_array`, and not a byte beside them.

    So several nodes can write one file on a network disk. Through mapped memory each would write
    whole pages, and undo what another wrote at their edges. On others the rows show once this is
    closed.
    """

    def __init__(self, file: Path) -> None:
        array = np.load(file, mmap_mode="r")
        self._dtype, self._start, self._stride = array.dtype, array.offset, array.strides[0]
        self._path, self._file = file, file.open("r+b", buffering=0)

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write rows from row `first` on.

        Raises:
            OSError: they cannot be written; carries the name of the file.
        """
        left = np.ascontiguousarray(rows, dtype=self._dtype).reshape(-1).view(np.uint8).data
        with names_file(self._path):
            self._file.seek(self._start + first * self._stride)
            while left:  # a system writes 2 GiB at most
                left = left[self._file.write(left) :]


def scratch_array(folder: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Zeros `shape`, mapped from a file of `folder` that has no name and goes with the array.

    Raises:
        OSError: the disk has too little space, or `folder` may not be written; carries its name.
    """
    if 0 in shape:
        return np.zeros(shape, dtype)
    with names_file(folder), tempfile.TemporaryFile(dir=folder) as file:
        _reserve(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def _reserve(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({size / 2**20:.1f} MiB needed)") from error
