"""Cityscapes (Cordts et al., CVPR 2016) with its 19 evaluated or PiCIE's 27 classes."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from leopart_kit.data.image_files import Color
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable, choose_label_set
from leopart_kit.data.layout import choose_split, files_by_stem, find_first, pair_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.settings import Text, settings


class Label(NamedTuple):
    """One row of the official table, from label id 7 on; `train_id` 255: not evaluated."""

    name: str
    train_id: int
    color: Color


FIRST_ID = 7
LABELS = (
    Label("road", 0, (128, 64, 128)),
    Label("sidewalk", 1, (244, 35, 232)),
    Label("parking", 255, (250, 170, 160)),
    Label("rail track", 255, (230, 150, 140)),
    Label("building", 2, (70, 70, 70)),
    Label("wall", 3, (102, 102, 156)),
    Label("fence", 4, (190, 153, 153)),
    Label("guard rail", 255, (180, 165, 180)),
    Label("bridge", 255, (150, 100, 100)),
    Label("tunnel", 255, (150, 120, 90)),
    Label("pole", 5, (153, 153, 153)),
    Label("polegroup", 255, (153, 153, 153)),
    Label("traffic light", 6, (250, 170, 30)),
    Label("traffic sign", 7, (220, 220, 0)),
    Label("vegetation", 8, (107, 142, 35)),
    Label("terrain", 9, (152, 251, 152)),
    Label("sky", 10, (70, 130, 180)),
    Label("person", 11, (220, 20, 60)),
    Label("rider", 12, (255, 0, 0)),
    Label("car", 13, (0, 0, 142)),
    Label("truck", 14, (0, 0, 70)),
    Label("bus", 15, (0, 60, 100)),
    Label("caravan", 255, (0, 0, 90)),
    Label("trailer", 255, (0, 0, 110)),
    Label("train", 16, (0, 80, 100)),
    Label("motorcycle", 17, (0, 0, 230)),
    Label("bicycle", 18, (119, 11, 32)),
)
EVALUATED = tuple(label for label in LABELS if label.train_id != IGNORE_INDEX)

LABEL_SETS = {
    "19": LabelSet(
        "19", tuple(x.name for x in EVALUATED), colors=tuple(x.color for x in EVALUATED)
    ),
    "27": LabelSet("27", tuple(x.name for x in LABELS), colors=tuple(x.color for x in LABELS)),
}
SPLITS = ("train", "val")
SOURCES = ("labelIds", "labelTrainIds")

# -1 is the licence plate, which 8-bit files store as 255 or not at all; 0 to 6 are void.
VOID = {-1: IGNORE_INDEX, 255: IGNORE_INDEX, **{void: IGNORE_INDEX for void in range(FIRST_ID)}}
LABEL_IDS = "labelIds -1 to 33 or 255 (for labelTrainIds files state source=labelTrainIds)"
TABLES = {
    ("19", "labelIds"): LabelTable(
        {**VOID, **{FIRST_ID + i: label.train_id for i, label in enumerate(LABELS)}}, LABEL_IDS
    ),
    ("27", "labelIds"): LabelTable(
        {**VOID, **{FIRST_ID + i: i for i in range(len(LABELS))}}, LABEL_IDS
    ),
    ("19", "labelTrainIds"): LabelTable(
        {-1: IGNORE_INDEX, 255: IGNORE_INDEX, **{i: i for i in range(len(EVALUATED))}},
        "labelTrainIds 0 to 18 or 255 (for labelIds files state source=labelIds)",
    ),
}


def cityscapes(
    root: str | os.PathLike[str],
    split: str,
    label_set: str | None = None,
    *,
    source: str | None = None,
) -> SegmentationDataset:
    """Cityscapes with fine annotations, `leftImg8bit/` and `gtFine/` under the root.

    Label sets: `19` (default; the trainIds) and `27` (label ids 7 to 33,
    as PiCIE and STEGO). Masks are the `_labelIds.png` files, or `_labelTrainIds.png` where only
    those exist or `source` says so; trainIds hold 19 classes only.

    Raises:
        FileNotFoundError: a folder, an image or a mask is missing.
        ValueError: an unknown split, label set or source; 27 classes from trainIds.
    """
    choose_split(split, SPLITS, "cityscapes")
    chosen = choose_label_set(label_set, list(LABEL_SETS), "cityscapes", "19")
    if source is not None and source not in SOURCES:
        raise ValueError(f"cityscapes has no source {source!r}; use {' or '.join(SOURCES)}")
    base = find_first(Path(root), ("leftImg8bit", "cityscapes/leftImg8bit"), "Cityscapes").parent
    image_folder = find_first(base, [f"leftImg8bit/{split}"], f"images of the split {split!r}")
    mask_folder = find_first(base, [f"gtFine/{split}"], f"masks of the split {split!r}")
    found, masks = _masks(mask_folder, source)
    if (chosen, found) not in TABLES:
        raise ValueError(
            f"{mask_folder}: the {chosen} classes cannot be read from labelTrainIds, which leave "
            "some out; add the _gtFine_labelIds.png files"
        )
    images = _city_files(image_folder, "_leftImg8bit.png")
    samples, notes = pair_files(images, masks, image_folder, mask_folder)
    read_mask = partial(read_classes, table=TABLES[chosen, found])
    notes = [f"masks from {found}", *notes]
    return SegmentationDataset(
        "cityscapes", split, root, LABEL_SETS[chosen], samples, read_mask, notes
    )


def _masks(folder: Path, source: str | None) -> tuple[str, dict[str, str]]:
    """The mask files of the requested source, or of the first that has any."""
    for name in SOURCES if source is None else (source,):
        masks = _city_files(folder, f"_gtFine_{name}.png")
        if masks:
            return name, masks
    wanted = " or ".join(SOURCES if source is None else (source,))
    raise FileNotFoundError(f"{folder} holds no <city>/*_gtFine_{wanted}.png; check the root")


def _city_files(folder: Path, ending: str) -> dict[str, str]:
    """Files of all cities, by name without the ending."""
    cities = sorted(path for path in folder.iterdir() if path.is_dir())
    return {name: file for city in cities for name, file in files_by_stem(city, ending).items()}


@settings
class CityscapesSettings(DatasetSettings):
    """Cityscapes; root holds leftImg8bit/ and gtFine/ (labelIds or labelTrainIds)."""

    split: Text = "val"
    """train, val."""
    label_set: Text | None = "19"
    """19 or 27 classes."""
    source: Literal["labelIds", "labelTrainIds"] | None = None
    """Masks that are read: labelIds or labelTrainIds; null: those that are there."""

    def load(self) -> SegmentationDataset:
        """See `cityscapes`."""
        return cityscapes(self.root, self.split, self.label_set, source=self.source)


PART = CityscapesSettings
