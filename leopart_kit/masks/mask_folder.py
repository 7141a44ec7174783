"""A folder of masks, one PNG an image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from leopart_kit.masks.indexed_png import write_id_png, write_indexed_png
from leopart_kit.masks.regions import LabelledImage, Region, draw
from leopart_kit.progress import Track, quiet
from leopart_kit.whole_file import folders_below, remove_leftovers


def write_masks(
    masks: Iterable[tuple[str, np.ndarray]],
    total: int,
    folder: Path,
    palette: np.ndarray,
    *,
    track: Track = quiet,
) -> None:
    """Write `folder/<name>.png` for every `(name, labels [H, W])`; a name may hold sub-folders.

    Masks whose ids fit 8 bits are indexed PNGs in the palette uint8 `[n, 3]`; a palette of more
    than 256 colours stands for more than 256 clusters, which are written as 16-bit grey PNGs.

    Raises:
        ValueError: an id that the PNG cannot hold.
        OSError: the folder cannot be written; carries the file's name.
    """
    remove_leftovers(folders_below(folder))
    for name, labels in track(masks, "writing masks", total):
        write_mask(folder / f"{name}.png", labels, palette)


def write_mask(path: Path, labels: np.ndarray, palette: np.ndarray) -> None:
    """Write one mask as `write_masks` does; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(palette) <= 256:
        write_indexed_png(path, labels, palette)
    else:
        write_id_png(path, labels)


class MaskFolder:
    """Writes `folder/<name>.png` for every image, as `write_masks` does; 0 is no class."""

    def __init__(self, folder: Path, palette: np.ndarray) -> None:
        self._folder = folder
        self._palette = palette

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Write the mask of an image and return its path; raises `OSError`."""
        path = self._folder / f"{image.name}.png"
        write_mask(path, draw(regions, image.size), self._palette)
        return [path]

    def finish(self) -> list[Path]:
        """Nothing is left to do: every image has a file of its own."""
        return []
