"""Data sets by name, each in the file of its name."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from leopart_kit.data.dataset_settings import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.parts import list_parts
from leopart_kit.settings import read_part

logger = logging.getLogger(__name__)

PACKAGES = ("leopart_kit.data", "leopart_kit.image_level.data")


def list_datasets() -> list[str]:
    """Names of the data sets, ascending."""
    return list_parts(PACKAGES)


def load_dataset(
    name: str,
    root: str | os.PathLike[str],
    split: str,
    label_set: str | None = None,
    **options: object,
) -> SegmentationDataset:
    """A segmentation data set in its released layout under `root`.

    Only `scenes` may have a root that does not exist yet: they are drawn into it. That of
    `single_image` is a file.

    `name` is one of `list_datasets()`, or `custom` with `factory`; splits, label sets and options
    (such as `source`) are those that the file of this name declares. What was detected is in
    `notes` and in the log.

    Raises:
        FileNotFoundError: the root or a part of the layout does not exist.
        ValueError: an unknown name, split, label set or option; lists the choices.
    """
    given = {"name": name, "root": root, "split": split, "label_set": label_set, **options}
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
