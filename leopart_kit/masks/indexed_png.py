"""Label maps as PNG: indexed with a palette for viewing and scoring, 16 bit for many ids."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

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
    _save(path, image)


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
    _save(path, Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint16)))


def cluster_palette(num_clusters: int) -> np.ndarray:
    """Colours for clusters: uint8 `[num_clusters, 3]`, as far apart as they can be.

    Colour i does not depend on the number of clusters. Farthest-point selection in OKLab
    (Ottosson 2020) over muted sRGB colours; they repeat after some thousands.

    Raises:
        ValueError: less than one cluster.
    """
    if num_clusters < 1:
        raise ValueError(f"num_clusters must be 1 or more, got {num_clusters}")
    size = 256
    while size < num_clusters:
        size *= 2
    colours = _farthest_colours(size)
    return colours[np.arange(num_clusters) % len(colours)]


@lru_cache(maxsize=4)
def _farthest_colours(size: int) -> np.ndarray:
    steps = np.linspace(0, 255, 26).round()
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lab = _oklab(rgb / 255)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Neither nearly black nor nearly white, neither neon nor grey.
    usable = (lab[:, 0] > 0.38) & (lab[:, 0] < 0.9) & (chroma < 0.165) & (chroma > 0.03)
    rgb, lab = rgb[usable], lab[usable]
    chosen = [int(np.linalg.norm(lab - (0.62, 0.06, -0.14), axis=1).argmin())]
    distance = np.full(len(lab), np.inf)
    while len(chosen) < min(size, len(lab)):
        distance = np.minimum(distance, ((lab - lab[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    colours = rgb[chosen].astype(np.uint8)
    colours.setflags(write=False)
    return colours


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0 to 1 `[n, 3]` to OKLab `[n, 3]`; matrices from Ottosson (2020)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ to_lab.T


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


def _save(path: str | Path, image: Image.Image) -> None:
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESS_LEVEL)
    try:
        Path(path).write_bytes(buffer.getvalue())
    except OSError as error:
        # A full disk is reported without a file name: add it.
        raise OSError(error.errno, error.strerror, str(path)) from error
