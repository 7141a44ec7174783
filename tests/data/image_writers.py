"""Small real files in the layouts of the data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from leopart_kit.data.palettes import voc_colormap

SIZE = (6, 8)


def write_image(path: Path, size: tuple[int, int] = SIZE, value: int = 90) -> Path:
    """A flat picture of `size` (H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(path)
    return path


def write_mask(path: Path, ids: np.ndarray | list[list[int]], palette: bool = False) -> Path:
    """A PNG that stores ids in 8 bits, with the VOC palette on request."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(ids, dtype=np.uint8))
    if palette:
        image.putpalette(voc_colormap().tobytes())
    image.save(path)
    return path


def flat(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full(size, value, dtype=np.uint8)


def truncate(path: Path, keep: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path
