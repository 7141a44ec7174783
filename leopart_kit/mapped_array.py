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


def scratch_array(folder: Path, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Zeros `shape`, mapped from a file of `folder` that has no name and goes with the array.

    Raises:
        OSError: the disk has too little space, or `folder` may not be written; carries its name.
    """
    with names_file(folder), tempfile.TemporaryFile(dir=folder) as file:
        _reserve(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)


def _reserve(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({size / 2**20:.1f} MiB needed)") from error
