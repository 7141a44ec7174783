"""Texts of images from a CSV file."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from leopart_kit.data.segmentation import SegmentationDataset

_COLUMNS = ("image", "caption")


class Captions(NamedTuple):
    """Pairs in the order of the file: image by its index in the data set, and text."""

    indices: list[int]
    texts: list[str]


def read_captions(path: str | os.PathLike[str], dataset: SegmentationDataset) -> Captions:
    """Texts of a data set's images, any number an image; images without a text are left out.

    Args:
        path: a CSV file in UTF-8 whose first line names the columns `image` and `caption`, among
            others if you like. `image` is a path, absolute or relative to the root of the data
            set, or a name as in `dataset.names`.
        dataset: the images.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not UTF-8, a column is missing, a row names no image of the data
            set, has no text or more fields than columns, or there are no rows; names the line.
    """
    path = Path(path)
    content = _read(path)
    places = {os.path.abspath(dataset.image_path(i)): i for i in range(len(dataset))}
    names = {name: index for index, name in enumerate(dataset.names)}
    indices: list[int] = []
    texts: list[str] = []
    for line, image, text in _rows(path, content):
        index = names.get(image, places.get(os.path.abspath(dataset.root / image)))
        if index is None:
            raise ValueError(
                f"{path} line {line}: {image!r} is no image of {dataset.root}; give its path "
                "relative to that folder"
            )
        if not text:
            raise ValueError(f"{path} line {line}: {image} has no caption")
        indices.append(index)
        texts.append(text)
    if not texts:
        raise ValueError(f"{path} holds no row below its first line")
    return Captions(indices, texts)


def _rows(path: Path, content: str) -> Iterator[tuple[int, str, str]]:
    """Number of the line, image and caption of every row; see `read_captions` for errors."""
    rows = csv.DictReader(io.StringIO(content, newline=""))
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(
            f"{path} has no column {missing[0]!r}; its first line must name the columns "
            "image,caption"
        )
    for row in rows:
        # Fields beyond the columns come under None; empty ones are what spreadsheets leave.
        if any(row.get(None, ())):
            raise ValueError(
                f"{path} line {rows.line_num} has more fields than the first line has columns; "
                'quote a caption with commas: "a dog, running"'
            )
        yield rows.line_num, row["image"] or "", (row["caption"] or "").strip()


def _read(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a CSV file of image and caption")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 ({error}); save it as CSV in UTF-8") from error
