"""An array larger than memory may hold, one row an image, that several processes fill together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from leopart_kit.mapped_array import mapped_array
from leopart_kit.processes import Processes


def shared_rows(folder: Path, shape: tuple[int, ...], processes: Processes) -> np.ndarray:
    """uint8 zeros of `shape`, mapped from a file of `folder` that goes with the last of its users.

    Each process sees what the others wrote once they have met again (`Processes.wait`).

    Raises:
        OSError: the disk has too little space; carries the name of the file.
    """

    def create() -> str:
        descriptor, name = tempfile.mkstemp(suffix=".npy", prefix=".rows-", dir=folder)
        os.close(descriptor)
        mapped_array(Path(name), shape, np.uint8)
        return name

    name = processes.once(create)
    rows = np.load(name, mmap_mode="r+")
    processes.wait()
    if processes.first:
        os.unlink(name)  # the mapping stays
    return rows
