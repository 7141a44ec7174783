"""Data sets by name."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from leopart_kit.data.ade20k import ade20k
from leopart_kit.data.camvid import camvid
from leopart_kit.data.cityscapes import cityscapes
from leopart_kit.data.classification import images_without_classes
from leopart_kit.data.coco_stuff import coco_stuff
from leopart_kit.data.image_folder import image_folder
from leopart_kit.data.imagenet import imagenet, imagenet100
from leopart_kit.data.scenes.dataset import procedural_scenes
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.single_image import single_image
from leopart_kit.data.unlabelled import coco_images, pass_images
from leopart_kit.data.voc import voc

logger = logging.getLogger(__name__)

DATASETS: dict[str, Callable[..., SegmentationDataset]] = {
    "voc": voc,
    "coco_stuff": coco_stuff,
    "cityscapes": cityscapes,
    "ade20k": ade20k,
    "camvid": camvid,
    "folder": image_folder,
    "imagenet": imagenet,
    "imagenet100": imagenet100,
    "coco_images": coco_images,
    "pass": pass_images,
    "scenes": procedural_scenes,
    "single_image": single_image,
    "image_folder_classes": partial(images_without_classes, "image_folder_classes"),
    "cifar10": partial(images_without_classes, "cifar10"),
    "cifar100": partial(images_without_classes, "cifar100"),
}


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

    `name` is one of `DATASETS`; splits, label sets and options (such as `source`) are those of
    the function of that name. What was detected is in `notes` and in the log.

    Raises:
        FileNotFoundError: the root or a part of the layout does not exist.
        ValueError: an unknown name, split, label set or option; lists the choices.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}")
    known = list(inspect.signature(DATASETS[name]).parameters)[3:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        choices = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"data set {name} has no option {unknown[0]!r}; {choices}")
    if name not in ("scenes", "single_image") and not Path(root).is_dir():
        raise FileNotFoundError(f"{root} is not a folder; set the root of the data set {name}")
    dataset = DATASETS[name](root, split, label_set, **options)
    logger.info(
        "%s %s: %d images, %d classes (%s)",
        name,
        split,
        len(dataset),
        dataset.num_classes,
        dataset.label_set.name,
    )
    for note in dataset.notes:
        logger.info("%s %s: %s", name, split, note)
    return dataset
