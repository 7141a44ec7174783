"""Images that a split to learn from shares with the split that is measured."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.identity.files import file_sha256, file_size
from leopart_kit.identity.stored import AnyFile

logger = logging.getLogger(__name__)

SharedImages = Literal["stop", "by_content", "allow"]

_NAMED = 8  # images in a message
_THREADS = 8


@dataclass(frozen=True)
class SplitAudit:
    """Images that two splits have in common.

    Attributes:
        train, measured: data set and split of each.
        by_content: `(name in train, name in measured)` of images of the same bytes.
        by_name: names that both have for images of other bytes.
    """

    train: str
    measured: str
    by_content: tuple[tuple[str, str], ...] = ()
    by_name: tuple[str, ...] = ()

    def details(self) -> dict[str, Any]:
        """The audit as a result records it; a name for each image, that of the measured split."""
        return {
            "train": self.train,
            "shared_by_content": [name for _, name in self.by_content],
            "shared_by_name": list(self.by_name),
        }

    def note(self) -> str:
        """The audit in one sentence."""
        shared = [name for _, name in self.by_content] + list(self.by_name)
        listed = f": {', '.join(shared[:_NAMED])}" if shared else ""
        return f"{self.train} and {self.measured} share {len(shared):,} images{listed}"

    def check(self, shared_images: SharedImages) -> None:
        """Raise `ValueError` with the shared images, unless they are allowed; then they are logged.

        `stop` allows none, `by_content` those that share nothing but their name.
        """
        shared = [name for _, name in self.by_content] + list(self.by_name)
        if not shared:
            return
        more = f" and {len(shared) - _NAMED:,} more" if len(shared) > _NAMED else ""
        said = (
            f"{self.train} and {self.measured} share {len(shared):,} images "
            f"({len(self.by_name):,} of them by name alone): {', '.join(shared[:_NAMED])}{more}"
        )
        counted = self.by_content if shared_images == "by_content" else shared
        if shared_images == "allow" or not counted:
            logger.warning("%s", said)
            return
        way_out = "shared_images=allow goes on"
        if not self.by_content:
            way_out = f"where they are other pictures, shared_images=by_content goes on; {way_out}"
        raise ValueError(f"{said}; take them out of one of the two ({way_out})")


def audit_splits(
    train: SegmentationDataset, measured: SegmentationDataset, *, names: bool = True
) -> SplitAudit:
    """Compare two splits by the bytes of their images, and by names within one data set.

    Only files of a size that both splits hold are read, and none is decoded. Images without a file
    of their own, as rows of an archive or arrays in memory, are compared by their pixels; arrays
    have numbers for names, which say nothing.

    Args:
        names: whether the names of one data set tell its images apart.
    """
    by_content = _same_content(train, measured)
    by_name: list[str] = []
    one_set = (train.name, train.root) == (measured.name, measured.root)
    if names and one_set and measured.root.exists():
        found = {name for _, name in by_content}
        known = set(train.names)
        by_name = [name for name in measured.names if name in known and name not in found]
    train_name, measured_name = (f"{one.name} {one.split}" for one in (train, measured))
    return SplitAudit(train_name, measured_name, tuple(by_content), tuple(by_name))


def _same_content(
    train: SegmentationDataset, measured: SegmentationDataset
) -> list[tuple[str, str]]:
    sizes = [_sizes(dataset) for dataset in (train, measured)]
    both = set(sizes[0].values()) & set(sizes[1].values())
    hashes = [
        _hashes(dataset, {row: size for row, size in of.items() if size in both})
        for dataset, of in zip((train, measured), sizes, strict=True)
    ]
    in_train = {content: row for row, content in reversed(hashes[0].items())}
    return [
        (train.names[in_train[content]], measured.names[row])
        for row, content in hashes[1].items()
        if content in in_train
    ]


def _sizes(dataset: SegmentationDataset) -> dict[int, int]:
    """Bytes of the file of each image by row; -1 for images that have no file of their own."""
    files = [dataset.image_file(row) for row in range(len(dataset))]
    times = Counter(map(repr, files))
    return {row: _size(file) if times[repr(file)] == 1 else -1 for row, file in enumerate(files)}


def _size(file: AnyFile) -> int:
    try:
        return file_size(file)
    except (OSError, ValueError):  # named where the image is read
        return -1


def _hashes(dataset: SegmentationDataset, sizes: Mapping[int, int]) -> dict[int, str]:
    """SHA-256 of the content of images by row, without those that cannot be read."""

    def content(row: int) -> str | None:
        try:
            if sizes[row] < 0:
                return _hash_pixels(dataset, row)
            return file_sha256(dataset.image_file(row))
        except (OSError, BrokenSampleError):
            return None

    rows = list(sizes)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(rows, pool.map(content, rows), strict=True))
    return {row: text for row, text in found.items() if text is not None}


def _hash_pixels(dataset: SegmentationDataset, row: int) -> str:
    image = dataset.load_image(row)
    return hashlib.sha256(f"{tuple(image.shape)}".encode() + image.numpy().tobytes()).hexdigest()
