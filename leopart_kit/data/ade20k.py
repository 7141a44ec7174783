"""ADE20K scene parsing (Zhou et al., CVPR 2017): the 150 classes of the 2016 challenge."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable, choose_label_set
from leopart_kit.data.layout import choose_split, files_by_stem, find_first, pair_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.settings import Text, settings

# fmt: off
CLASS_NAMES = (
    "wall", "building", "sky", "floor", "tree",
    "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door",
    "table", "mountain", "plant", "curtain", "chair",
    "car", "water", "painting", "sofa", "shelf",
    "house", "sea", "mirror", "rug", "field",
    "armchair", "seat", "fence", "desk", "rock",
    "wardrobe", "lamp", "bathtub", "railing", "cushion",
    "base", "box", "column", "signboard", "chest of drawers",
    "counter", "sand", "sink", "skyscraper", "fireplace",
    "refrigerator", "grandstand", "path", "stairs", "runway",
    "case", "pool table", "pillow", "screen door", "stairway",
    "river", "bridge", "bookcase", "blind", "coffee table",
    "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer",
    "swivel chair", "boat", "bar", "arcade machine", "hovel",
    "bus", "towel", "light", "truck", "tower",
    "chandelier", "awning", "streetlight", "booth", "television receiver",
    "airplane", "dirt track", "apparel", "pole", "land",
    "bannister", "escalator", "ottoman", "bottle", "buffet",
    "poster", "stage", "van", "ship", "fountain",
    "conveyer belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent",
    "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave",
    "pot", "animal", "bicycle", "lake", "dishwasher",
    "screen", "blanket", "sculpture", "hood", "sconce",
    "vase", "traffic light", "tray", "ashcan", "fan",
    "pier", "crt screen", "plate", "monitor", "bulletin board",
    "shower", "radiator", "glass", "clock", "flag",
)
# fmt: on
LABEL_SET = LabelSet("150", CLASS_NAMES)
TABLE = LabelTable(
    {0: IGNORE_INDEX, **{index + 1: index for index in range(150)}},
    "0 (unlabelled) to 150: check that these are the annotations of ADEChallengeData2016",
)
FOLDERS = {"train": "training", "val": "validation"}


def ade20k(
    root: str | os.PathLike[str], split: str, label_set: str | None = None
) -> SegmentationDataset:
    """ADE20K with 150 classes, none a background; stored id 0 is unlabelled and ignored.

    `root` is `ADEChallengeData2016/` or its parent, with `images/` and `annotations/`, each with
    `training/` and `validation/`. Splits: `train`, `val`.

    Raises:
        FileNotFoundError: a folder is missing, or an image has no mask.
        ValueError: an unknown split or label set.
    """
    folder = FOLDERS[choose_split(split, FOLDERS, "ade20k")]
    choose_label_set(label_set, ["150"], "ade20k", "150")
    places = [f"{base}images/{folder}" for base in ("", "ADEChallengeData2016/")]
    image_folder = find_first(Path(root), places, f"images of the split {split!r}")
    base = image_folder.parents[1]
    mask_folder = find_first(base, [f"annotations/{folder}"], f"masks of the split {split!r}")
    images, masks = files_by_stem(image_folder), files_by_stem(mask_folder, ".png")
    samples, notes = pair_files(images, masks, image_folder, mask_folder)
    read_mask = partial(read_classes, table=TABLE)
    return SegmentationDataset("ade20k", split, root, LABEL_SET, samples, read_mask, notes)


@settings
class Ade20kSettings(DatasetSettings):
    """ADE20K; root: ADEChallengeData2016, or the folder that holds it."""

    split: Text = "val"
    """train, val."""

    def load(self) -> SegmentationDataset:
        """See `ade20k`."""
        return ade20k(self.root, self.split, self.label_set)


PART = Ade20kSettings
