"""The classes of a folder of masks: as a file names them, or as the masks show them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leopart_kit.data.class_names import Colors, Names, read_class_names
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import BLACK, WHITE, Color, read_label_map
from leopart_kit.data.label_sets import (
    IGNORE_INDEX,
    LabelSet,
    LabelTable,
    color_ids,
    voc_colormap,
)
from leopart_kit.data.samples import Sample

logger = logging.getLogger(__name__)

_BLACK_AND_WHITE = ("background", "foreground")


class FolderLabels(NamedTuple):
    """The label set of a folder, and what turns stored ids and colours of masks into it."""

    label_set: LabelSet
    table: LabelTable
    colors: Mapping[Color, int]


def folder_labels(
    root: Path,
    masked: Sequence[Sample],
    binary: bool,
    max_megapixels: float,
    class_names: Names | None = None,
) -> FolderLabels:
    """The labels of samples with masks, by `class_names` or those under `root`: `image_folder`.

    Raises:
        ValueError: unreadable class names, or a number of them that does not fit `binary`.
        UnknownClassError: the masks hold an id above 255, or nothing but 255 and maybe 0.
    """
    if not masked:
        return FolderLabels(LabelSet("folder", ()), LabelTable({255: IGNORE_INDEX}, "no mask"), {})
    names, colors = (class_names, None) if class_names else read_class_names(root)
    if binary:
        return _black_and_white(root, names, colors)
    stored = color_ids(voc_colormap())
    if colors is not None:
        stored = {BLACK: IGNORE_INDEX, **{color: index for index, color in enumerate(colors)}}
    if names is None:
        highest = _highest_id(masked, stored, max_megapixels)
        names = tuple(f"class {index}" for index in range(highest + 1))
    table = LabelTable(
        {**{index: index for index in range(len(names))}, 255: IGNORE_INDEX},
        f"0 to {len(names) - 1} or 255 (the folder names {len(names)} classes)",
    )
    return FolderLabels(_label_set(names, colors), table, stored)


def _label_set(names: Names, colors: Colors | None) -> LabelSet:
    if colors is None:
        colors = tuple((r, g, b) for r, g, b in voc_colormap()[: len(names)].tolist())
    has_background = names[:1] != () and names[0].lower() == "background"
    return LabelSet("folder", names, has_background, colors)


def _black_and_white(root: Path, names: Names | None, colors: Colors | None) -> FolderLabels:
    """Two classes, stored as 0 and 255 or as black and white."""
    if names is not None and len(names) != 2:
        raise ValueError(
            f"{root} names {len(names)} classes, and binary=true has two: black and white"
        )
    table = LabelTable({0: 0, 255: 1}, "0 or 255 (binary=true; masks of 0 and 1 do without it)")
    return FolderLabels(
        _label_set(names or _BLACK_AND_WHITE, colors), table, {BLACK: 0, WHITE: 255}
    )


def _highest_id(
    masked: Sequence[Sample], colors: Mapping[Color, int], max_megapixels: float
) -> int:
    """The highest class id in the masks; reads them all, as nothing else tells it.

    Broken ones are left out here, and named when the samples are read; −1 if there is no other.
    """
    logger.info("reading %d masks for their classes; a classes.txt saves this", len(masked))
    present: set[int] = set()
    for sample in masked:
        file = sample.mask_files[0]
        try:
            ids = np.unique(read_label_map(file, colors, max_megapixels))
        except BrokenSampleError:
            continue
        wrong = ids[(ids < 0) | (ids > IGNORE_INDEX)]
        if wrong.size:
            raise UnknownClassError(f"{file} holds id {wrong[0]}; ids go from 0 to 255 (ignored)")
        present.update(ids.tolist())
    if present == {0, IGNORE_INDEX}:
        raise UnknownClassError(
            f"{masked[0].mask_files[0]} and the other masks hold 0 and 255 alone: are they black "
            "and white? Then set dataset.binary=true, or store 0 and 1 (255 means ignored)"
        )
    if present == {IGNORE_INDEX}:
        raise UnknownClassError(
            f"{masked[0].mask_files[0]} and the other masks hold nothing but 255 (ignored)"
        )
    return max(present - {IGNORE_INDEX}, default=-1)
