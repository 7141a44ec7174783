"""An array larger than memory may hold, one row an image, that several processes fill together."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from leopart_kit.processes import Processes


def shared_rows(folder: Path, shape: tuple[int, ...], processes: Processes) -> np.ndarray:
    """uint8 zeros of `shape`, mapped from a file of `folder` that goes with the last of its users.

    Each process sees what the others wrote once they have met again (`Processes.wait`).
    """

    def create() -> str:
        descriptor, name = tempfile.mkstemp(suffix=".npy", prefix=".rows-", dir=folder)
        os.close(descriptor)
        np.lib.format.open_memmap(name, "w+", dtype=np.uint8, shape=shape).flush()
        return name

    name = processes.once(create)
    rows = np.load(name, mmap_mode="r+")
    processes.wait()
    if processes.first:
        os.unlink(name)  # the mapping stays
    return rows
