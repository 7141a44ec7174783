"""CamVid (Brostow et al. 2009) with the 11 classes of SegNet (Badrinarayanan et al. 2017)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from leopart_kit.data.image_files import Color
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable, choose_label_set
from leopart_kit.data.layout import choose_split, files_by_stem, find_first, pair_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.settings import Text, settings

# Each class with the colours of the original 32 that it gathers; its own colour comes first.
CLASSES: dict[str, tuple[Color, ...]] = {
    "sky": ((128, 128, 128),),
    "building": ((128, 0, 0), (0, 128, 64), (64, 192, 0), (64, 0, 64), (192, 0, 128)),
    "pole": ((192, 192, 128), (0, 0, 64)),
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    "tree": ((128, 128, 0), (192, 192, 0)),
    "sign": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
}
VOID_ID = 11
VOID_COLOR = (0, 0, 0)
COLOR_IDS = {
    **{color: index for index, colors in enumerate(CLASSES.values()) for color in colors},
    VOID_COLOR: VOID_ID,
}
LABEL_SET = LabelSet("11", tuple(CLASSES), colors=tuple(c[0] for c in CLASSES.values()))
TABLE = LabelTable(
    {**{index: index for index in range(11)}, VOID_ID: IGNORE_INDEX, 255: IGNORE_INDEX},
    "0 to 10, or 11 (void): check that the masks are SegNet's 11 classes",
)
SPLITS = ("train", "val", "test")


def camvid(
    root: str | os.PathLike[str], split: str, label_set: str | None = None
) -> SegmentationDataset:
    """CamVid street scenes: 11 classes, none a background, void ignored.

    Reads `<split>/` with either `<split>annot/` (ids 0 to 11, as SegNet's repository has it) or
    `<split>_labels/` (the original 32 colours, files ending in `_L.png`, gathered into the 11).

    Raises:
        FileNotFoundError: a folder is missing, or an image has no mask.
        ValueError: an unknown split or label set.
    """
    choose_split(split, SPLITS, "camvid")
    choose_label_set(label_set, ["11"], "camvid", "11")
    places = [f"{base}{split}" for base in ("", "CamVid/")]
    image_folder = find_first(Path(root), places, f"images of the split {split!r}")
    mask_folder = find_first(
        image_folder.parent, (f"{split}annot", f"{split}_labels"), f"masks of the split {split!r}"
    )
    masks = {
        name.removesuffix("_L"): file for name, file in files_by_stem(mask_folder, ".png").items()
    }
    images = files_by_stem(image_folder)
    samples, notes = pair_files(images, masks, image_folder, mask_folder)
    read_mask = partial(read_classes, table=TABLE, colors=COLOR_IDS)
    return SegmentationDataset("camvid", split, root, LABEL_SET, samples, read_mask, notes)


@settings
class CamVidSettings(DatasetSettings):
    """CamVid; root holds train/ and trainannot/, val/ and valannot/, …."""

    split: Text = "val"
    """train, val, test."""

    def load(self) -> SegmentationDataset:
        """See `camvid`."""
        return camvid(self.root, self.split, self.label_set)


PART = CamVidSettings
