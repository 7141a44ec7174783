"""Sets of images that are trained on and have no masks here: PASS, COCO's photos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.label_sets import LabelSet, choose_label_set
from leopart_kit.data.layout import choose_split, find_first
from leopart_kit.data.segmentation import Sample, SegmentationDataset

COCO_SPLITS = {"train": "train2017", "val": "val2017", "unlabeled": "unlabeled2017"}


def coco_images(
    root: str | os.PathLike[str], split: str = "train", label_set: str | None = None
) -> SegmentationDataset:
    """COCO 2017 images without annotations, below `root`, `root/images` or `root/coco/images`.

    Splits: `train`, `val`, `unlabeled`.

    Raises:
        FileNotFoundError: there is no folder of the split, or it holds no image.
        ValueError: unknown split or label set.
    """
    choose_label_set(label_set, ["none"], "coco_images", "none")
    folder_name = COCO_SPLITS[choose_split(split, tuple(COCO_SPLITS), "coco_images")]
    places = (folder_name, f"images/{folder_name}", f"coco/images/{folder_name}")
    folder = find_first(Path(root), places, "images")
    return without_masks("coco_images", split, root, list(samples_below(folder, folder)))


def pass_images(
    root: str | os.PathLike[str], split: str = "all", label_set: str | None = None
) -> SegmentationDataset:
    """PASS (Asano et al. 2021): 1.4 million photos without people, in folders that mean nothing.

    `root` is `PASS_dataset`, or the folder that holds it. There is one split, `all`.

    Raises:
        FileNotFoundError: no image below the root.
        ValueError: unknown split or label set.
    """
    choose_label_set(label_set, ["none"], "pass", "none")
    choose_split(split, ("all",), "pass")
    folder = find_first(Path(root), ("PASS_dataset", "."), "images")
    return without_masks("pass", split, root, list(samples_below(folder, folder)))


def samples_below(folder: Path, named_from: Path) -> Iterator[Sample]:
    """Every image below `folder`, sorted by folder and file, hidden ones left out.

    Names are paths relative to `named_from` without suffix. Paths stay strings: with a million
    files that saves minutes over `Path.rglob`.

    Raises:
        FileNotFoundError: there is none.
    """
    start = len(str(named_from)) + 1
    found = False
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)
            if suffix.lower() in IMAGE_SUFFIXES and not file.startswith("."):
                found = True
                name = os.path.join(parent, stem)[start:].replace(os.sep, "/")
                yield Sample(name, os.path.join(parent, file))
    if not found:
        raise FileNotFoundError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")


def without_masks(
    name: str,
    split: str,
    root: str | os.PathLike[str],
    samples: list[Sample],
    notes: tuple[str, ...] = (),
) -> SegmentationDataset:
    """A data set whose masks are all None and which has no classes."""
    return SegmentationDataset(name, split, root, LabelSet("none", ()), samples, _no_mask, notes)


def _no_mask(sample: Sample) -> np.ndarray:
    raise ValueError(f"{sample.name} has no mask")
