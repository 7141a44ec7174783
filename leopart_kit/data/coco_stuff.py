"""COCO and COCO-Stuff (Lin et al. 2014; Caesar et al. 2018) from any of their annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from leopart_kit.data.coco_labels import (
    MERGED_STUFF,
    NEVER_ANNOTATED,
    OTHER,
    STUFF,
    THINGS,
    categories,
)
from leopart_kit.data.coco_masks import MaskSource, open_source
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, choose_label_set
from leopart_kit.data.layout import (
    choose_split,
    files_by_stem,
    find_first,
    read_list,
)
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.settings import PathText, Text, settings

ALL_CLASSES = categories(THINGS, STUFF)
EVERY_ID = categories(THINGS, STUFF, MERGED_STUFF, NEVER_ANNOTATED, OTHER)
LABEL_SETS = {
    "stuff-27": (*THINGS, *STUFF),
    "stuff-15": tuple(sorted(STUFF)),
    "things-12": tuple(sorted(THINGS)),
    "full": tuple(name for name, _ in ALL_CLASSES.values()),
}
# What the papers used first: PiCIE and STEGO for 27 classes, Leopart for stuff and things.
SOURCES = {
    "stuff-27": ("stuffthingmaps", "panoptic+pixelmaps", "panoptic"),
    "stuff-15": ("pixelmaps", "stuffthingmaps", "panoptic"),
    "things-12": ("panoptic", "stuffthingmaps"),
    "full": ("stuffthingmaps", "panoptic+pixelmaps"),
}
CURATED_LISTS = {
    "train_curated": ("Coco164kFull_Stuff_Coarse.txt", "Coco164kFull_Stuff_Coarse_7.txt"),
    "val_curated": ("Coco164kFull_Stuff_Coarse_7.txt",),
}
SPLITS = ("train", "val", *CURATED_LISTS)


def coco_stuff(
    root: str | os.PathLike[str],
    split: str,
    label_set: str | None = None,
    *,
    source: str | None = None,
    encoding: str | None = None,
    names_file: str | os.PathLike[str] | None = None,
) -> SegmentationDataset:
    """COCO 2017 images with stuff and thing classes; no class is a background.

    Label sets: `stuff-27` (default; 12 thing and 15 stuff supercategories in the order of PiCIE
    and STEGO), `stuff-15` and `things-12` (supercategories in alphabetical order, as Leopart),
    and `full` (the 171 annotated classes, sorted by COCO id without its gaps). Everything else,
    "other" and unlabelled pixels are ignored (255).

    Splits: `train`, `val`, and the curated lists of Ji et al. (2019) that PiCIE and STEGO use,
    `train_curated` and `val_curated`, from `curated/`. `names_file` restricts a split to the
    names of a list.

    `source` picks the annotation where several are there: `stuffthingmaps`, `pixelmaps` (of the
    stuff challenge), `panoptic` (semantic or raw PNGs), or `panoptic+pixelmaps` (things from the
    one, stuff from the other). By default the first in the order of `SOURCES`. `encoding` states
    how stuffthingmaps are stored, `0-181` or `1-182`; by default it is detected.

    Raises:
        FileNotFoundError: no images, annotations or list; a listed image or mask is missing.
        ValueError: an unknown split, label set or source, a source that lacks classes of the
            label set, or an encoding that cannot be told from the files.
    """
    root = Path(root)
    choose_split(split, SPLITS, "coco_stuff")
    chosen = choose_label_set(label_set, list(LABEL_SETS), "coco_stuff", "stuff-27")
    year = split.split("_")[0] + "2017"
    images = _find_images(root, year)
    masks = _first_source(root, year, chosen, source, encoding)
    names, notes = _list_names(root, split, year, names_file)
    samples, left_out = _join(images, masks, names)
    notes = [*masks.notes, *notes, *left_out]
    label = LabelSet(chosen, LABEL_SETS[chosen])
    return SegmentationDataset("coco_stuff", split, root, label, samples, masks.read, notes)


def coco_classes(label_set: str) -> dict[int, int]:
    """Every COCO id to its class in the label set, or to 255."""
    index_of = {name: index for index, name in enumerate(LABEL_SETS[label_set])}
    if label_set == "full":
        full = {coco_id: index_of[name] for coco_id, (name, _) in ALL_CLASSES.items()}
        return {coco_id: full.get(coco_id, IGNORE_INDEX) for coco_id in EVERY_ID}
    return {
        i: index_of.get(supercategory, IGNORE_INDEX) for i, (_, supercategory) in EVERY_ID.items()
    }


def _find_images(root: Path, year: str) -> dict[str, str]:
    places = [f"{folder}{year}" for folder in ("images/", "coco/images/", "", "coco/")]
    folder = find_first(root, places, f"folder of {year} images")
    images = files_by_stem(folder)
    if not images:
        raise FileNotFoundError(f"{folder} holds no image; check the root and the split")
    return images


def _first_source(
    root: Path, year: str, label_set: str, source: str | None, encoding: str | None
) -> MaskSource:
    """The requested annotation, or the first of the label set's that exists."""
    usable = SOURCES[label_set]
    if source is not None and source not in usable:
        raise ValueError(
            f"label set {label_set} cannot come from source {source!r}; use {' or '.join(usable)}"
        )
    wanted = usable if source is None else (source,)
    reasons = []
    for name in wanted:
        try:
            return open_source(name, root, year, coco_classes(label_set), encoding)
        except FileNotFoundError as error:
            reasons.append(str(error))
    raise FileNotFoundError("; ".join(reasons))


def _list_names(
    root: Path, split: str, year: str, names_file: str | os.PathLike[str] | None
) -> tuple[list[str] | None, list[str]]:
    """The names a split is restricted to, if it is, and a note that says so."""
    if names_file is not None:
        list_file = find_first(root, [os.fspath(names_file)], "list of names")
    elif split in CURATED_LISTS:
        names = CURATED_LISTS[split]
        list_file = find_first(root, [f"curated/{year}/{n}" for n in names], "curated list")
    else:
        return None, []
    names = [Path(line).name.removesuffix(".jpg") for line in read_list(list_file)]
    return names, [f"{len(names)} images listed in {list_file.name}"]


def _join(
    images: dict[str, str], masks: MaskSource, names: Sequence[str] | None
) -> tuple[list[Sample], list[str]]:
    """Samples that have both image and mask; notes count what lacks one of them."""
    if names is not None:
        return [_listed(name, images, masks) for name in names], []
    samples = [Sample(n, image, masks.files[n]) for n, image in images.items() if n in masks.files]
    if not samples:
        raise FileNotFoundError(
            f"no image in {Path(next(iter(images.values()))).parent} has a mask in {masks.place}"
        )
    left_out = {
        f"images have no mask in {masks.place}": len(images) - len(samples),
        f"masks in {masks.place} have no image": len(masks.files) - len(samples),
    }
    return samples, [f"{count} {what}; left out" for what, count in left_out.items() if count]


def _listed(name: str, images: dict[str, str], masks: MaskSource) -> Sample:
    if name not in images:
        folder = Path(next(iter(images.values()))).parent
        raise FileNotFoundError(f"{folder / name}.jpg is listed but missing; complete the images")
    if name not in masks.files:
        raise FileNotFoundError(
            f"{name} is listed but has no mask in {masks.place}; complete the annotations"
        )
    return Sample(name, images[name], masks.files[name])


@settings
class CocoStuffSettings(DatasetSettings):
    """COCO-Stuff from stuffthingmaps, pixelmaps + JSON, panoptic PNGs + JSON, or the last two."""

    split: Text = "val"
    """train, val, train_curated, val_curated."""
    label_set: Text | None = "stuff-27"
    """stuff-27, stuff-15, things-12, full."""
    source: Literal["stuffthingmaps", "pixelmaps", "panoptic", "panoptic+pixelmaps"] | None = None
    """Annotations that are read; null: those that are there."""
    encoding: Literal["0-181", "1-182"] | None = None
    """Ids of stuffthingmaps; null: detected."""
    names_file: PathText | None = None
    """List of the images that count, one name a line."""

    def load(self) -> SegmentationDataset:
        """See `coco_stuff`."""
        return coco_stuff(
            self.root,
            self.split,
            self.label_set,
            source=self.source,
            encoding=self.encoding,
            names_file=self.names_file,
        )


PART = CocoStuffSettings
