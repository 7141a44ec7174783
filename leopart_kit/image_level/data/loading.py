"""Data sets with image classes by name, each in the file of its name."""

from __future__ import annotations

import logging
import os

from leopart_kit.data.loading import PACKAGES, check_root, list_datasets, read_dataset
from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.parts import find_part

logger = logging.getLogger(__name__)


def load_classification(
    name: str, root: str | os.PathLike[str], split: str, **options: object
) -> ClassificationDataset:
    """Images with one class each, in the layout of that name under `root`.

    Raises:
        FileNotFoundError: the root or a part of the layout does not exist.
        ValueError: an unknown name, split or option; lists the choices.
    """
    asked = read_dataset({"name": name, "root": root, "split": split, **options})
    if not isinstance(asked, ClassesSettings):
        names = (
            n for n in list_datasets() if issubclass(find_part(PACKAGES, n, ""), ClassesSettings)
        )
        raise ValueError(f"{name!r} has no image classes; choose one of {', '.join(names)}")
    check_root(asked)
    dataset = asked.load_classes()
    if asked.limit is not None:
        dataset = dataset.spread(asked.limit)
    logger.info("%s %s: %d images, %d classes", name, split, len(dataset), dataset.num_classes)
    return dataset
