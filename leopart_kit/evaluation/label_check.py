"""Read every mask once before anything long starts: what is there, what is broken."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelCheck:
    """`usable` indices of the data set, `broken` ones with the reason, pixels of each class."""

    usable: tuple[int, ...]
    broken: Mapping[int, str]
    histogram: np.ndarray  # int64 [C]
    ignored_pixels: int
    has_masks: bool

    @property
    def classes_present(self) -> tuple[int, ...]:
        """Ids of the classes with at least one pixel."""
        return tuple(np.flatnonzero(self.histogram).tolist())


def check_labels(
    dataset: SegmentationDataset, *, strict: bool = False, track: Track = quiet
) -> LabelCheck:
    """Read all masks: an id outside the label set shows now, not after an hour of extraction.

    Raises:
        UnknownClassError: an id outside the label set.
        BrokenSampleError: a broken mask, with `strict`.
        ValueError: every mask is broken.
    """
    if dataset.num_classes == 0:
        return LabelCheck(tuple(range(len(dataset))), {}, np.zeros(0, dtype=np.int64), 0, False)
    histogram = np.zeros(dataset.ignore_index + 1, dtype=np.int64)
    usable, broken = [], {}
    for index in track(range(len(dataset)), "reading masks", len(dataset)):
        try:
            mask = dataset.load_mask(index)
        except BrokenSampleError as error:
            if strict:
                raise
            logger.warning("left out: %s", error)
            broken[index] = str(error)
            continue
        if mask is not None:
            histogram += np.bincount(mask.numpy().ravel(), minlength=len(histogram))
        usable.append(index)
    if not usable:
        raise ValueError(
            f"no mask of {dataset.name} {dataset.split} can be used: {next(iter(broken.values()))}"
        )
    check = LabelCheck(
        tuple(usable),
        broken,
        histogram[: dataset.num_classes],
        int(histogram[dataset.ignore_index]),
        True,
    )
    _log_histogram(dataset, check)
    return check


def _log_histogram(dataset: SegmentationDataset, check: LabelCheck) -> None:
    total = max(int(check.histogram.sum()) + check.ignored_pixels, 1)
    shares = [
        f"{name} {100 * pixels / total:.2f} %"
        for name, pixels in zip(dataset.class_names, check.histogram, strict=True)
        if pixels
    ]
    logger.info(
        "%s %s: %d images, %d of %d classes; %s; ignored %.2f %%",
        dataset.name,
        dataset.split,
        len(check.usable),
        len(check.classes_present),
        dataset.num_classes,
        ", ".join(shares),
        100 * check.ignored_pixels / total,
    )
    for note in dataset.notes:
        logger.info("%s: %s", dataset.name, note)
