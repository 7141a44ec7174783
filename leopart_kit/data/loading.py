"""Data sets by name, each in the file of its name, and the settings that every one declares."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from leopart_kit.data.given import given_images
from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.label_sets import IGNORE_INDEX
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.parts import list_parts
from leopart_kit.settings import Count, PathText, Positive, Text, read_part, settings

logger = logging.getLogger(__name__)

PACKAGES = ("leopart_kit.data", "leopart_kit.image_level.data")


@settings
class DatasetSettings:
    """A data set in the layout that it comes in.

    Raises:
        ValueError: a value of another type; names the setting.
    """

    needs_root: ClassVar[bool] = True
    """True if the root must be a folder that is there."""

    root: PathText
    """Folder of the data set."""
    split: Text
    """Part of it."""
    label_set: Text | None = None
    """Classes, where there is a choice; null: the usual ones."""
    limit: Count | None = None
    """For a quick try: at most so many images, spread evenly over the set; null: all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).expanduser())

    def arguments(self) -> dict[str, Any]:
        """Arguments of a function that lists the images: all settings but `limit`."""
        return {name: value for name, value in vars(self).items() if name != "limit"}

    def load(self) -> SegmentationDataset:
        """The images, with masks where there are some.

        Raises:
            FileNotFoundError: the root or a part of the layout does not exist.
            ValueError: an unknown split or label set; lists the choices.
        """
        raise NotImplementedError


@settings
class OwnImagesSettings(DatasetSettings):
    """Images of the user's own, and masks of ids, colours, or black and white."""

    binary: bool = False
    """Masks are black and white, 0 and 255."""
    max_megapixels: Positive = MAX_MEGAPIXELS
    """Millions of pixels; larger images and masks are left out."""


def list_datasets() -> list[str]:
    """Names of the data sets, ascending."""
    return list_parts(PACKAGES)


def load_dataset(
    name: str,
    root: str | os.PathLike[str],
    split: str | None = None,
    label_set: str | None = None,
    **options: object,
) -> SegmentationDataset:
    """A segmentation data set in its released layout under `root`.

    Only `scenes` may have a root that does not exist yet: they are drawn into it. That of
    `single_image` is a file.

    `name` is one of `list_datasets()`, or `custom` with `factory`; splits, label sets and options
    (such as `source`) are those that the file of this name declares. What was detected is in
    `notes` and in the log. Without `split` it is the one that the commands measure, such as `val`.

    Raises:
        FileNotFoundError: the root or a part of the layout does not exist.
        ValueError: an unknown name, split, label set or option; lists the choices.
    """
    given = {"name": name, "root": root, "label_set": label_set, **options}
    if split is not None:
        given["split"] = split
    return open_dataset(read_dataset(given))


def read_dataset(values: dict[str, object]) -> DatasetSettings:
    """The settings in a mapping with the `name` of the data set, checked; nothing is opened.

    Raises:
        ValueError: an unknown name or option, or a value of another type or out of range.
    """
    return read_part(PACKAGES, values, "dataset")


def open_dataset(asked: DatasetSettings) -> SegmentationDataset:
    """The data set of these settings; raises as `load_dataset`."""
    check_root(asked)
    dataset = asked.load()
    if asked.limit is not None:
        dataset = dataset.spread(asked.limit)
    logger.info(
        "%s %s: %d images, %d classes (%s)",
        dataset.name,
        dataset.split,
        len(dataset),
        dataset.num_classes,
        dataset.label_set.name,
    )
    for note in dataset.notes:
        logger.info("%s %s: %s", dataset.name, dataset.split, note)
    return dataset


def check_root(asked: DatasetSettings) -> None:
    if asked.needs_root and not os.path.isdir(Path(asked.root).expanduser()):
        raise FileNotFoundError(f"{asked.root} is not a folder; set the root of the data set")


def as_dataset(
    data: object,
    class_names: Sequence[str] | None = None,
    ignore_index: int = IGNORE_INDEX,
) -> SegmentationDataset:
    """The data set that is meant.

    >>> import numpy as np
    >>> images, masks = np.zeros((2, 8, 8, 3), np.uint8), np.eye(8, dtype=int)[None].repeat(2, 0)
    >>> as_dataset((images, masks), ["ground", "line"]).class_names
    ('ground', 'line')

    Args:
        data: a data set of the toolkit; a folder of images, with masks or without (see
            `image_folder`); a pair `(images, masks)` of arrays, tensors or lists; images alone; or
            a `Dataset` of torch whose items are `(image, mask)`, `(image, mask, name)`, an image,
            or a dictionary of these. Images and masks in the forms of `as_pixels` and
            `as_class_ids`.
        class_names: of images and masks; by default those that a `Dataset` names as `class_names`
            or `classes`, or a number for each id up to the highest. "background" as the first
            counts as one.
        ignore_index: of images and masks, the id of pixels that do not count.

    Returns:
        The data set. Images and masks that are no files are all read once here: their content is
        the fingerprint.

    Raises:
        FileNotFoundError: no such folder, or no image in it.
        ValueError: data of another form, images that differ from reading to reading, or a mask that
            is not as large as its image; says which item.
        UnknownClassError: an id without a class.
    """
    if isinstance(data, (str, os.PathLike, SegmentationDataset)):
        if class_names is not None or ignore_index != IGNORE_INDEX:
            raise ValueError("class_names and ignore_index are of images and masks in Python")
        return data if isinstance(data, SegmentationDataset) else _folder(data)
    return given_images(data, class_names, ignore_index)


def _folder(path: str | os.PathLike[str]) -> SegmentationDataset:
    name = os.fspath(path)
    if not Path(path).expanduser().is_dir() and name in list_datasets():
        raise ValueError(f"{name} needs its folder: load_dataset({name!r}, root)")
    return image_folder(Path(path).expanduser())
