"""Texts of images from a CSV file."""

from __future__ import annotations

import os
from typing import NamedTuple

from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.input_files import as_path, read_csv


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
    path = as_path(path, "captions")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a CSV file of image and caption")
    places = {os.path.abspath(dataset.image_path(i)): i for i in range(len(dataset))}
    names = {name: index for index, name in enumerate(dataset.names)}
    indices: list[int] = []
    texts: list[str] = []
    for line, row in read_csv(path, ("image", "caption")):
        image, text = row["image"], row["caption"].strip()
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
