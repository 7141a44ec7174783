"""Images that two data sets share by what they show: equal files, or equal pixels."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cached_property
from typing import NamedTuple, TypeVar

from leopart_kit.data import LARGE, BrokenSampleError, SegmentationDataset
from leopart_kit.identity.files import file_sha256, file_size
from leopart_kit.identity.stored import AnyFile
from leopart_kit.progress import Track, quiet

V = TypeVar("V")
Size = tuple[int, int]
Pair = tuple[int, int]

logger = logging.getLogger(__name__)

MOST_IMAGES = 200_000
"""Images of two data sets whose heights and widths are looked up."""

MOST_PIXELS = 20 * 10**9
"""Pixels that are decoded: those of VOC, ADE20K or Cityscapes, not of COCO."""

_THREADS = 8
_one_large = threading.Lock()  # pictures that take gigabytes are decoded one at a time


class SameImages(NamedTuple):
    """Images that two data sets share.

    Attributes:
        pairs: `(row in one, row in the other)`, ordered by the latter; every shared image of
            either is in a pair.
        by_pixels: whether files of other bytes were compared by their pixels too.
    """

    pairs: tuple[Pair, ...]
    by_pixels: bool


def same_images(
    one: SegmentationDataset, other: SegmentationDataset, track: Track = quiet
) -> SameImages:
    """Find images of equal bytes, then those of equal pixels: copies, however they were written.

    Only files of a length that both hold are read for the former. For the latter, images are
    decoded whose height and width both hold. On one core that takes 2 ms for a photograph of
    500 x 375 (7 s for VOC's train and val) and 100 ms for a PNG of 2 megapixels; 8 are decoded at
    once. Of more than `MOST_IMAGES` or `MOST_PIXELS` only those are decoded that are no file of
    their own: arrays, and several crops of one file.
    """
    sets = _Images(one), _Images(other)
    lengths = set(sets[0].lengths.values()) & set(sets[1].lengths.values())
    pairs = _pairs(
        *(
            images.each(_file_hash, [row for row, n in images.lengths.items() if n in lengths])
            for images in sets
        )
    )
    known = {row for _, row in pairs}
    rest = [list(range(len(one))), [row for row in range(len(other)) if row not in known]]
    by_pixels = sum(map(len, rest)) <= MOST_IMAGES
    chosen = _of_common_sizes(sets, rest) if by_pixels else ({}, {})
    if sum(height * width for some in chosen for height, width in some.values()) > MOST_PIXELS:
        by_pixels = False
    if not by_pixels:
        logger.warning("so many images are compared by the bytes of their files, not their pixels")
        chosen = _of_common_sizes(sets, [images.without_file for images in sets])
    hashes = [
        images.each(_pixel_hash, list(some), track)
        for images, some in zip(sets, chosen, strict=True)
    ]
    found = dict.fromkeys((*pairs, *_pairs(*hashes)))
    return SameImages(tuple(sorted(found, key=lambda pair: pair[::-1])), by_pixels)


class _Images:
    """The images of a data set by row."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.dataset = dataset

    @cached_property
    def lengths(self) -> dict[int, int]:
        """Bytes of the files of images that have one of their own."""
        files = [self.dataset.image_file(row) for row in range(len(self.dataset))]
        times = Counter(map(repr, files))
        found = {row: _length(file) for row, file in enumerate(files) if times[repr(file)] == 1}
        return {row: length for row, length in found.items() if length is not None}

    @property
    def without_file(self) -> list[int]:
        """Images in memory, and several of one file."""
        return [row for row in range(len(self.dataset)) if row not in self.lengths]

    def each(
        self,
        look: Callable[[SegmentationDataset, int], V],
        rows: Sequence[int],
        track: Track = quiet,
    ) -> dict[int, V]:
        """What `look` finds in some rows, several at a time; without those that are broken."""

        def safely(row: int) -> V | None:
            try:
                return look(self.dataset, row)
            except (OSError, BrokenSampleError):  # named where the image is read
                return None

        if not rows:
            return {}
        words = f"comparing {self.dataset.name} {self.dataset.split}"
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(track(pool.map(safely, rows), words, len(rows)))
        return {row: value for row, value in zip(rows, found, strict=True) if value is not None}


def _of_common_sizes(
    sets: Sequence[_Images], rows: Sequence[Sequence[int]]
) -> tuple[dict[int, Size], ...]:
    """`(H, W)` of those of the rows that have one which both sets hold."""
    if not all(rows):
        return {}, {}
    sizes = [images.each(_size, some) for images, some in zip(sets, rows, strict=True)]
    common = set(sizes[0].values()) & set(sizes[1].values())
    return tuple({row: size for row, size in some.items() if size in common} for some in sizes)


def _pairs(one: Mapping[int, str], other: Mapping[int, str]) -> list[Pair]:
    """Rows of one content, each at least once; not all with all, which may be millions."""
    rows: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, hashes in enumerate((one, other)):
        for row, content in hashes.items():
            rows[content][place].append(row)
    return [
        (first[min(n, len(first) - 1)], second[min(n, len(second) - 1)])
        for first, second in rows.values()
        if first and second
        for n in range(max(len(first), len(second)))
    ]


def _length(file: AnyFile) -> int | None:
    try:
        return file_size(file)
    except (OSError, ValueError):  # named where the image is read
        return None


def _file_hash(dataset: SegmentationDataset, row: int) -> str:
    return file_sha256(dataset.image_file(row))


def _size(dataset: SegmentationDataset, row: int) -> Size:
    height, width = dataset.image_size(row)
    return int(height), int(width)


def _pixel_hash(dataset: SegmentationDataset, row: int) -> str:
    height, width = _size(dataset, row)
    with _one_large if height * width > LARGE else nullcontext():
        image = dataset.load_image(row).numpy()
        return hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
