"""The cluster of every image of a set as a CSV: a training writes it, an evaluation reads it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.input_files import read_csv
from leopart_kit.whole_file import whole_file

_COLUMNS = ("name", "cluster")
_DIGITS = 18  # of a 64-bit number
_UNDECODED = "surrogateescape"  # names of files that are not UTF-8 pass as they are


def write_assignments(names: Sequence[str], clusters: Tensor, file: Path) -> Path:
    """Write a line for every image: its name, and its cluster of int64 `[N]`."""
    with (
        whole_file(file) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors=_UNDECODED) as opened,
    ):
        lines = csv.writer(opened)
        lines.writerow(_COLUMNS)
        lines.writerows(zip(names, clusters.tolist(), strict=True))
    return file


def read_assignments(file: Path, images: ClassificationDataset) -> np.ndarray:
    """The cluster of every image of a split, integers `[N]`; lines of other images are left.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column, an image or a whole number is missing; names file and image.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist; set assignments to a CSV name,cluster")
    clusters: dict[str, int] = {}
    for line, row in read_csv(file, _COLUMNS, errors=_UNDECODED):
        name, text = row["name"], row["cluster"].strip()
        if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
            raise ValueError(f"{file} line {line}: a cluster is a number from 0, got {text[:50]!r}")
        if clusters.setdefault(name, int(text)) != int(text):
            raise ValueError(f"{file} line {line}: {name} is in two clusters; keep one line")
    missing = [name for name in images.names if name not in clusters]
    if missing:
        raise ValueError(
            f"{file} lacks {len(missing)} of the {len(images)} images of {images.split}, such as "
            f"{missing[0]}; clusters of the training images are read with test_split=train"
        )
    return np.array([clusters[name] for name in images.names], dtype=np.int64)
