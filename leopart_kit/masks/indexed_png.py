"""Label maps as PNG: indexed with a palette for viewing and scoring, 16 bit for many ids."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from leopart_kit.whole_file import whole_file

# Level 1 writes several times faster than the default and label maps stay small all the same.
_COMPRESS_LEVEL = 1


def write_indexed_png(path: str | Path, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write ids as an indexed (mode P) PNG: the pixels are the ids, the palette their colours.

    Args:
        path: file to write; its folder exists.
        labels: integers `[H, W]`, 0 to 255.
        palette: uint8 `[n, 3]`, n up to 256; ids beyond it show black.

    Raises:
        ValueError: an id outside 0 to 255, or labels that are not a 2-D array of integers.
        OSError: the file cannot be written; carries its name.
    """
    _check_ids(path, labels, highest=255)
    colours = np.asarray(palette)
    if (
        colours.dtype != np.uint8
        or colours.ndim != 2
        or colours.shape[1] != 3
        or len(colours) > 256
    ):
        raise ValueError(f"{path}: the palette must be uint8 [up to 256, 3], got {colours.shape}")
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint8), mode="L")
    # Padded: Pillow packs a shorter palette into fewer bits a pixel and cuts off higher ids.
    image.putpalette(colours.tobytes().ljust(768, b"\0"))
    save_png(path, image)


def write_id_png(path: str | Path, labels: np.ndarray) -> None:
    """Write ids as a 16-bit grey PNG, for cluster maps with more than 256 clusters.

    Args:
        path: file to write; its folder exists.
        labels: integers `[H, W]`, 0 to 65,535.

    Raises:
        ValueError: an id outside 0 to 65,535, or labels that are not a 2-D array of integers.
        OSError: the file cannot be written; carries its name.
    """
    _check_ids(path, labels, highest=65535)
    save_png(path, Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint16)))


def _check_ids(path: str | Path, labels: np.ndarray, highest: int) -> None:
    if labels.ndim != 2 or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{path}: labels must be integers [H, W], got {labels.dtype} {labels.shape}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > highest:
        wrong = low if low < 0 else high
        raise ValueError(
            f"{path}: id {wrong} does not fit this PNG (0 to {highest}); give pixels without a "
            "class the ignore id, and write more than 256 ids with write_id_png"
        )


def save_png(path: str | Path, image: Image.Image) -> None:
    """Write an image of ids as PNG, whole or not at all; raises `OSError` with the file's name."""
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESS_LEVEL)
    with whole_file(Path(path)) as temporary:
        temporary.write_bytes(buffer.getvalue())
