"""Pascal VOC 2012 (Everingham et al. 2010), with the extra masks of Hariharan et al. 2011."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from leopart_kit.data.label_sets import (
    IGNORE_INDEX,
    LabelSet,
    LabelTable,
    choose_label_set,
    color_ids,
    voc_colormap,
)
from leopart_kit.data.layout import choose_split, find_first, read_list, require_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import Sample, SegmentationDataset, read_classes
from leopart_kit.settings import Text, settings

# fmt: off
CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on
LABEL_SET = LabelSet("21", CLASS_NAMES, has_background=True)
TABLE = LabelTable(
    {**{index: index for index in range(21)}, 255: IGNORE_INDEX},
    "0 (background) to 20, or 255 for the border (check that the masks are Pascal VOC's)",
)

ROOTS = (".", "VOC2012", "VOCdevkit/VOC2012", "VOCSegmentation")
IMAGE_FOLDERS = ("JPEGImages", "images")
LIST_FOLDERS = ("ImageSets/Segmentation", "sets")
LISTS = {
    "train": ("train.txt",),
    "trainaug": ("trainaug.txt", "train_aug.txt"),
    "val": ("val.txt",),
}
MASK_FOLDERS = {
    "train": ("SegmentationClass", "SegmentationClassAug"),
    "trainaug": ("SegmentationClassAug",),
    "val": ("SegmentationClass", "SegmentationClassAug"),
}


def voc(
    root: str | os.PathLike[str], split: str, label_set: str | None = None
) -> SegmentationDataset:
    """Pascal VOC 2012 segmentation: 21 classes, background first, 255 on object borders.

    `root` may be the VOCdevkit folder, the VOC2012 folder in it, or a folder with `images/`,
    `sets/` and `SegmentationClass/` as in the README of Leopart (Ziegler & Asano, CVPR 2022).
    Splits: `train`, `trainaug` (10,582 images with `SegmentationClassAug/`) and `val`. Lines of a
    list are names or pairs `/JPEGImages/x.jpg /SegmentationClassAug/x.png`.

    Raises:
        FileNotFoundError: no such layout, list, image or mask.
        ValueError: an unknown split or label set, or an empty list.
    """
    choose_split(split, LISTS, "voc")
    choose_label_set(label_set, ["21"], "voc", "21")
    base = _find_base(Path(root))
    image_folder = find_first(base, IMAGE_FOLDERS, "folder of images")
    lists = [f"{folder}/{name}" for folder in LIST_FOLDERS for name in LISTS[split]]
    list_file = find_first(base, lists, f"list of the split {split!r}")
    mask_folder = find_first(base, MASK_FOLDERS[split], f"masks of the split {split!r}")
    samples = [_sample(line, base, image_folder, mask_folder) for line in read_list(list_file)]
    require_files([sample.image_file for sample in samples], list_file, "images")
    require_files([sample.mask_files[0] for sample in samples], list_file, "masks")
    read_mask = partial(read_classes, table=TABLE, colors=color_ids(voc_colormap()))
    notes = [f"masks from {Path(str(samples[0].mask_files[0])).parent.name}"]
    return SegmentationDataset("voc", split, root, LABEL_SET, samples, read_mask, notes)


def _find_base(root: Path) -> Path:
    for candidate in ROOTS:
        if any((root / candidate / folder).is_dir() for folder in IMAGE_FOLDERS):
            return root / candidate
    raise FileNotFoundError(
        f"{root} holds no Pascal VOC; point root at VOCdevkit, at VOC2012 (with JPEGImages/) or "
        "at a folder with images/, sets/ and SegmentationClass/"
    )


def _sample(line: str, base: Path, image_folder: Path, mask_folder: Path) -> Sample:
    """One line of a list: a name, or an image and a mask relative to the VOC folder."""
    image, mask = (*line.split(maxsplit=1), "")[:2]
    name = Path(image).name.removesuffix(".jpg").removesuffix(".png")
    listed = base / mask.lstrip("/") if "/" in mask else None
    if listed is not None and listed.parent.is_dir():
        mask_folder = listed.parent
    return Sample(name, str(image_folder / f"{name}.jpg"), (str(mask_folder / f"{name}.png"),))


@settings
class VocSettings(DatasetSettings):
    """Pascal VOC 2012; root: VOCdevkit, VOC2012, or a folder with images/ and sets/."""

    split: Text = "val"
    """train, trainaug, val."""

    def load(self) -> SegmentationDataset:
        """See `voc`."""
        return voc(self.root, self.split, self.label_set)


PART = VocSettings
