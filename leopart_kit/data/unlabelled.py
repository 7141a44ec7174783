"""Sets of images that are trained on and have no masks here: PASS, COCO's photos."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.label_sets import LabelSet, choose_label_set
from leopart_kit.data.layout import choose_split, find_first, notes_of_walk
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.data.walking import files_below

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
    return images_below(folder, "coco_images", split, root)


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
    return images_below(folder, "pass", split, root)


def images_below(
    folder: Path, name: str, split: str, root: str | os.PathLike[str]
) -> SegmentationDataset:
    """The data set of all images below `folder`; a note counts the files that are none."""
    samples, notes = samples_below(folder)
    return without_masks(name, split, root, samples, notes)


def samples_below(
    folder: Path, subfolders: Sequence[str] | None = None
) -> tuple[list[Sample], list[str]]:
    """Every image below `folder`, or below some of its folders, and notes on what else is there.

    Sorted by folder and file, see `files_below`. Names are paths relative to `folder` without
    suffix.

    Raises:
        FileNotFoundError: there is none.
    """
    start = len(str(folder)) + 1
    samples: list[Sample] = []
    others: Counter[str] = Counter()
    starts = [folder] if subfolders is None else [folder / name for name in subfolders]
    files, repeated = files_below(*starts)
    for file in files:
        stem, suffix = os.path.splitext(file)
        if suffix.lower() in IMAGE_SUFFIXES:
            samples.append(Sample(stem[start:].replace(os.sep, "/"), file))
        else:
            others[suffix or os.path.basename(file)] += 1
    if not samples:
        raise FileNotFoundError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return samples, notes_of_walk(others, repeated)


def without_masks(
    name: str,
    split: str,
    root: str | os.PathLike[str],
    samples: list[Sample],
    notes: Sequence[str] = (),
    max_megapixels: float = MAX_MEGAPIXELS,
) -> SegmentationDataset:
    """A data set whose masks are all None and which has no classes."""
    label_set = LabelSet("none", ())
    return SegmentationDataset(
        name, split, root, label_set, samples, _no_mask, notes, max_megapixels
    )


def _no_mask(sample: Sample) -> np.ndarray:
    raise ValueError(f"{sample.name} has no mask")
