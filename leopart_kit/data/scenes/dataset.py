"""Procedural scenes as a segmentation data set, drawn on first use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable, choose_label_set
from leopart_kit.data.layout import choose_split, read_list
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.scenes.files import FIRST_SCENE, read_record
from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.layouts import write_voc
from leopart_kit.data.scenes.objects import OBJECT_NAMES, PART_NAMES
from leopart_kit.data.segmentation import Sample, SegmentationDataset, read_classes
from leopart_kit.progress import Track, quiet
from leopart_kit.settings import Count, PathText, Seed, Size, Text, settings

LABEL_SETS = {
    "objects": LabelSet("objects", OBJECT_NAMES, has_background=True),
    "parts": LabelSet("parts", PART_NAMES, has_background=True),
}
MASK_FOLDERS = {"objects": "SegmentationClass", "parts": "SegmentationPart"}
NUM_IMAGES = {"train": 1000, "val": 200}
IMAGE_SIZE = (224, 224)


def procedural_scenes(
    root: str | os.PathLike[str],
    split: str,
    label_set: str | None = None,
    *,
    num_images: int | None = None,
    image_size: Sequence[int] | None = None,
    seed: int | None = None,
    track: Track = quiet,
) -> SegmentationDataset:
    """Procedural scenes of articulated objects, written to `root` in VOC layout on first use.

    Label sets: `objects` (default, 8 classes and background) and `parts` (38 parts and
    background). Splits `train` and `val` share no scene. What is not given is taken from the
    scenes that are already in `root`, and for a new folder is 1,000 train and 200 val images of
    224 × 224 (`image_size` is (height, width)) and seed 0. A split that was broken off is
    completed; one that is there is used as it is.

    Raises:
        ValueError: an unknown split or label set; `root` holds something else, or scenes of other
            settings than those given.
    """
    choose_split(split, tuple(FIRST_SCENE), "scenes")
    chosen = choose_label_set(label_set, list(LABEL_SETS), "scenes", "objects")
    base = Path(root)
    there = read_record(base) or {}
    size = there.get("image_size", IMAGE_SIZE) if image_size is None else image_size
    generator = SceneGenerator(
        size,
        seed=there.get("seed", 0) if seed is None else seed,
        max_objects=there.get("max_objects", 4),
        ignore_border=there.get("ignore_border", 0),
    )
    count = there.get("splits", {}).get(split, NUM_IMAGES[split])
    write_voc(base, generator, {split: count if num_images is None else num_images}, track)
    names = read_list(base / "ImageSets" / "Segmentation" / f"{split}.txt")
    images, masks = base / "JPEGImages", base / MASK_FOLDERS[chosen]
    samples = [Sample(n, str(images / f"{n}.jpg"), (str(masks / f"{n}.png"),)) for n in names]
    label = LABEL_SETS[chosen]
    last = len(label.class_names) - 1
    ids = {**{i: i for i in range(last + 1)}, IGNORE_INDEX: IGNORE_INDEX}
    table = LabelTable(ids, f"0 (background) to {last}, or 255 for a border")
    read_mask = partial(read_classes, table=table)
    notes = (f"procedural scenes, seed {generator.seed}",)
    return SegmentationDataset("scenes", split, root, label, samples, read_mask, notes)


@settings
class ScenesSettings(DatasetSettings):
    """Procedural scenes with object and part masks, written below root on first use."""

    needs_root: ClassVar[bool] = False

    root: PathText = "outputs/scenes"
    """Folder of the scenes."""
    split: Text = "val"
    """train, val."""
    label_set: Text | None = "objects"
    """objects, parts."""
    num_images: Count | None = None
    """Of the split; null: those that are there, or 1,000 train and 200 val."""
    image_size: Size | None = None
    """`[H, W]` in pixels; null: that of those that are there, or 224 × 224."""
    seed: Seed | None = None
    """Of the scenes; null: that of those that are there, or 0."""

    def load(self) -> SegmentationDataset:
        """See `procedural_scenes`."""
        return procedural_scenes(**self.arguments())


PART = ScenesSettings
