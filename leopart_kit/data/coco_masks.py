"""The mask files of COCO: stuffthingmaps, stuff pixelmaps, panoptic PNGs, or two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from leopart_kit.data.coco_encoding import ENCODINGS, ZERO_BASED, Encoding, detect_encoding
from leopart_kit.data.coco_json import Segments, check_categories, read_segments
from leopart_kit.data.coco_labels import (
    MERGED_STUFF,
    NEVER_ANNOTATED,
    OTHER,
    STUFF,
    THINGS,
    categories,
)
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import read_panoptic_ids
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelTable
from leopart_kit.data.layout import files_by_stem, find_first, find_optional
from leopart_kit.data.segmentation import MaskReader, Sample, read_classes

STUFFTHINGMAPS = (
    "stuffthingmaps",
    "stuffthingmaps_trainval2017",
    "annotations/stuffthingmaps",
    "annotations/stuffthingmaps_trainval2017",
)
STUFF_FOLDERS = (
    "annotations/annotations/stuff_annotations",
    "annotations/stuff_annotations",
    "annotations",
    "stuff_annotations",
    ".",
)
PANOPTIC_FOLDERS = (
    "annotations/panoptic_annotations",
    "annotations",
    "panoptic_annotations",
    ".",
    "annotations/annotations/panoptic_annotations",
)
# The second spelling is the one in Leopart's README.
SEMANTIC_NAMES = ("semantic_segmentation", "semantic_segmenations", "panoptic_semantic")


@dataclass(frozen=True)
class MaskSource:
    """Masks by image name, how to read them, and what to say about them."""

    place: str
    files: dict[str, tuple[str, ...]]
    read: MaskReader
    notes: tuple[str, ...]


def open_source(
    name: str, root: Path, year: str, classes: Mapping[int, int], encoding: str | None
) -> MaskSource:
    """Open one kind of annotation of the split `year`; `classes` maps COCO ids to classes or 255.

    Raises:
        FileNotFoundError: it is not under `root`; says where it was looked for.
        ValueError: categories in its JSON that are not COCO's, or an unclear encoding.
    """
    if name == "stuffthingmaps":
        return _stuffthingmaps(root, year, classes, encoding)
    if name == "pixelmaps":
        return _pixelmaps(root, year, classes)
    if name == "panoptic":
        return _panoptic(root, year, classes)
    return _things_and_stuff(
        _panoptic(root, year, classes), _pixelmaps(root, year, classes), classes
    )


def _pick(classes: Mapping[int, int], *tables: dict[str, str]) -> dict[int, int]:
    return {coco_id: classes[coco_id] for coco_id in categories(*tables)}


def _stuffthingmaps(
    root: Path, year: str, classes: Mapping[int, int], encoding: str | None
) -> MaskSource:
    short = year.removesuffix("2017")
    places = [f"{folder}/{split}" for folder in STUFFTHINGMAPS for split in (year, short)]
    folder = find_first(root, [*places, f"annotations/{year}"], "stuffthingmaps")
    files = _mask_files(folder)
    if encoding is None:
        found = detect_encoding([paths[0] for paths in files.values()])
    elif encoding in ENCODINGS:
        found = Encoding(encoding, "stated")
    else:
        raise ValueError(f"encoding {encoding!r} is unknown; use {' or '.join(ENCODINGS)}")
    table = stuffthingmaps_table(classes, found.name)
    notes = (f"stuffthingmaps store ids {found.name} ({found.evidence})",)
    return MaskSource(str(folder), files, partial(read_classes, table=table), notes)


def stuffthingmaps_table(classes: Mapping[int, int], encoding: str) -> LabelTable:
    """The table of stuffthingmaps in one of the two encodings."""
    known = _pick(classes, THINGS, STUFF, NEVER_ANNOTATED)
    if encoding == ZERO_BASED:
        shifted = {coco_id - 1: index for coco_id, index in known.items()}
        return LabelTable(
            {**shifted, 255: IGNORE_INDEX},
            "0 to 181 or 255 (masks with 1 to 182 and 0 for unlabelled: state encoding=1-182)",
        )
    return LabelTable(
        {**known, 0: IGNORE_INDEX},
        "0 to 182 (masks with 0 to 181 and 255 for unlabelled: state encoding=0-181)",
    )


def _pixelmaps(root: Path, year: str, classes: Mapping[int, int]) -> MaskSource:
    places = [f"{folder}/stuff_{year}_pixelmaps" for folder in STUFF_FOLDERS]
    folder = find_first(root, places, "stuff pixelmaps")
    note = check_categories(folder.parent / f"stuff_{year}.json", STUFF, OTHER)
    table = LabelTable(
        {**_pick(classes, STUFF, OTHER), 0: IGNORE_INDEX},
        "0 (things), 92 to 182, or 183 (other): check that these are the stuff pixelmaps",
    )
    notes = (f"stuff from {folder.name}, {note}",)
    return MaskSource(str(folder), _mask_files(folder), partial(read_classes, table=table), notes)


def _panoptic(root: Path, year: str, classes: Mapping[int, int]) -> MaskSource:
    table = LabelTable(
        {**_pick(classes, THINGS, STUFF, MERGED_STUFF), 0: IGNORE_INDEX},
        "0 (unlabelled) or a COCO panoptic id up to 200: check that these are panoptic masks",
    )
    semantic = [f"{d}/{name}_{year}" for d in PANOPTIC_FOLDERS for name in SEMANTIC_NAMES]
    folder = find_optional(root, semantic)
    if folder is not None:
        note = check_categories(
            folder.parent / f"panoptic_{year}.json", THINGS, STUFF, MERGED_STUFF
        )
        read = partial(read_classes, table=table)
        return MaskSource(
            str(folder),
            _mask_files(folder),
            read,
            (f"panoptic classes from {folder.name}, {note}",),
        )
    raw = [f"{d}/panoptic_{year}" for d in PANOPTIC_FOLDERS]
    folder = find_first(root, [*semantic, *raw], "panoptic masks")
    json_file = find_first(folder.parent, [f"panoptic_{year}.json"], "panoptic categories")
    note = check_categories(json_file, THINGS, STUFF, MERGED_STUFF)
    read = partial(_read_segments, table=table, segments=read_segments(json_file))
    notes = (f"panoptic classes from the segments of {folder.name}, {note}",)
    return MaskSource(str(folder), _mask_files(folder), read, notes)


def _things_and_stuff(
    panoptic: MaskSource, pixelmaps: MaskSource, classes: Mapping[int, int]
) -> MaskSource:
    files = {
        name: (*paths, *pixelmaps.files[name])
        for name, paths in panoptic.files.items()
        if name in pixelmaps.files
    }
    things = np.zeros(IGNORE_INDEX + 1, dtype=bool)
    things[list(_pick(classes, THINGS).values())] = True
    read = partial(_read_both, panoptic=panoptic.read, pixelmaps=pixelmaps.read, things=things)
    unpaired = len(panoptic.files) + len(pixelmaps.files) - 2 * len(files)
    notes = ["things from the panoptic masks, stuff from the pixelmaps", *panoptic.notes]
    notes += [*pixelmaps.notes, *([f"{unpaired} masks have no partner"] if unpaired else [])]
    return MaskSource(f"{panoptic.place} and {pixelmaps.place}", files, read, tuple(notes))


def _mask_files(folder: Path) -> dict[str, tuple[str, ...]]:
    files = {
        name: (path,)
        for name, path in files_by_stem(folder, ".png").items()
        if not name.endswith("_labelTrainIds")  # some tools leave such files beside the originals
    }
    if not files:
        raise FileNotFoundError(f"{folder} holds no PNG mask; check the root and the split")
    return files


def _read_both(
    sample: Sample, panoptic: MaskReader, pixelmaps: MaskReader, things: np.ndarray
) -> np.ndarray:
    """Thing pixels of the panoptic mask, elsewhere the class of the pixelmap."""
    thing_file, stuff_file = sample.mask_files
    thing_mask = panoptic(sample._replace(mask_files=(thing_file,)))
    stuff_mask = pixelmaps(sample._replace(mask_files=(stuff_file,)))
    if thing_mask.shape != stuff_mask.shape:
        raise BrokenSampleError(
            f"{thing_file} is {thing_mask.shape[::-1]} and {stuff_file} {stuff_mask.shape[::-1]} "
            "pixels; they must be equal"
        )
    return np.where(things[thing_mask], thing_mask, stuff_mask)


def _read_segments(sample: Sample, table: LabelTable, segments: Segments) -> np.ndarray:
    """Segment ids of a raw panoptic PNG to classes, through the segments of its JSON."""
    file = sample.mask_files[0]
    if sample.name not in segments:
        raise UnknownClassError(f"{file} is not in the panoptic JSON; use the JSON of its split")
    ids, category_ids = segments[sample.name]
    segment_map = read_panoptic_ids(file)
    present, inverse = np.unique(segment_map, return_inverse=True)
    position = np.searchsorted(ids, present).clip(max=len(ids) - 1)
    unknown = present[ids[position] != present]
    if len(unknown):
        raise UnknownClassError(
            f"{file} holds segment {unknown[0]}, which the panoptic JSON does not list; "
            "use the JSON of its split"
        )
    return table(category_ids[position][inverse].reshape(segment_map.shape), file)
