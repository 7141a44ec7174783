"""A share of the training images: drawn by a seed, or named in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from leopart_kit.data import ClassHistogram, SegmentationDataset
from leopart_kit.data.layout import read_list


def drawn_images(usable: Sequence[int], share: float, seed: int) -> list[int]:
    """A share of the images by their indices, ascending; `ValueError` for less than one."""
    number = round(share * len(usable))
    if share * len(usable) < 1:
        raise ValueError(
            f"protocol.train_share {share:g} of {len(usable)} training images is less than one "
            "image: raise it"
        )
    order = np.random.default_rng(seed).permutation(len(usable))[:number]
    return [usable[place] for place in np.sort(order)]


def listed_images(dataset: SegmentationDataset, usable: Sequence[int], file: Path) -> list[int]:
    """The usable images that a file names, ascending; a line is a name, or the path of an image.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, names no image of the data set, or none that can be used.
    """
    rows = {name: row for row, name in enumerate(dataset.names)}
    chosen = {_row(line, rows, dataset, file) for line in read_list(file)}
    found = [row for row in usable if row in chosen]
    if not found:
        raise ValueError(f"{file} lists no image of {dataset.name} {dataset.split} with a mask")
    return found


def _row(line: str, rows: Mapping[str, int], dataset: SegmentationDataset, file: Path) -> int:
    path = line.split()[0]
    for name in (line, path, path.rpartition(".")[0], Path(path).name, Path(path).stem):
        if name in rows:
            return rows[name]
    raise ValueError(
        f"{file} lists {line!r}, which is no image of {dataset.name} {dataset.split}; check the "
        "list and protocol.train_split"
    )


def classes_left_out(labels: ClassHistogram, chosen: Sequence[int]) -> list[str]:
    """Classes that the labelled images show and the chosen ones among them do not."""
    if len(chosen) == len(labels.usable):
        return []
    places = np.isin(labels.usable, chosen)
    missing = np.flatnonzero(labels.shown.any(axis=0) & ~labels.shown[places].any(axis=0))
    return [labels.class_names[c] for c in missing.tolist()]
