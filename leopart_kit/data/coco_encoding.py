"""The encoding of a folder of COCO-Stuff masks, of which there are two.

The released `stuffthingmaps` store 0 to 181 with 255 for unlabelled; the original annotations
store 1 to 182 with 0 for unlabelled. Read in the wrong one, every class is off by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from leopart_kit.data.coco_labels import NEVER_ANNOTATED, categories
from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.image_files import read_label_map

ZERO_BASED = "0-181"
ONE_BASED = "1-182"
ENCODINGS = (ZERO_BASED, ONE_BASED)

MIN_FILES = 8
MAX_FILES = 500


class Encoding(NamedTuple):
    """The encoding and, in words, how it is known."""

    name: str
    evidence: str


def detect_encoding(files: Sequence[str]) -> Encoding:
    """Tell the encoding of masks from the ids that occur in them.

    255 exists only in 0-181 and 182 only in 1-182: either decides. Without them, eleven
    categories that were never annotated leave gaps at other ids in the two encodings, and an id
    in a gap of one rules that one out. Reads up to 500 files spread evenly over the set, and
    stops after 8 once 255 or 182 was seen.

    Raises:
        ValueError: both 255 and 182 occur, or nothing decides; says how to state the encoding.
    """
    order = np.unique(np.linspace(0, len(files) - 1, min(len(files), MAX_FILES)).astype(int))
    order = np.random.default_rng(0).permutation(order)  # neighbours are often one scene
    present: set[int] = set()
    num_read = 0
    reasons: list[str] = []
    for index in map(int, order):
        try:
            present.update(np.unique(read_label_map(files[index])).tolist())
        except BrokenSampleError as error:
            reasons.append(str(error))  # each is named when the sample itself is read
            continue
        num_read += 1
        if num_read >= MIN_FILES and present & {182, 255}:
            break
    if not num_read:
        raise ValueError(f"none of {len(reasons)} masks can be read: {reasons[0]}")
    return encoding_of_ids(present, num_read, files[0])


def encoding_of_ids(present: set[int], num_files: int, example: str) -> Encoding:
    """Decide from the ids present in `num_files` masks, of which `example` is one."""
    scanned = f"in {num_files} files"
    if {182, 255} <= present:
        raise ValueError(
            f"masks such as {example} hold both 255 (unlabelled in 0-181) and 182 (wood in 1-182); "
            "convert them to one encoding, or state encoding=0-181 or 1-182 to have the first "
            "file that breaks it named"
        )
    if 255 in present:
        return Encoding(ZERO_BASED, f"255 occurs {scanned}")
    if 182 in present:
        return Encoding(ONE_BASED, f"182 occurs {scanned}")
    one_based_gaps = set(categories(NEVER_ANNOTATED))
    zero_based_gaps = {index - 1 for index in one_based_gaps}
    against_one = sorted(present & (one_based_gaps - zero_based_gaps))
    against_zero = sorted(present & (zero_based_gaps - one_based_gaps))
    if against_one and not against_zero:
        return Encoding(ZERO_BASED, f"id {against_one[0]} {scanned} is no class in 1-182")
    if against_zero and not against_one:
        return Encoding(ONE_BASED, f"id {against_zero[0]} {scanned} is no class in 0-181")
    raise ValueError(
        f"masks such as {example} do not tell whether they store 0-181 (255 unlabelled) or 1-182 "
        "(0 unlabelled); state encoding=0-181 or encoding=1-182"
    )
