"""Every mask of a data set read once: how many pixels each class has, and what is broken."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet

logger = logging.getLogger(__name__)

_LARGEST, _ABSENT = 5, 5  # classes that the summary names


@dataclass(frozen=True)
class ClassHistogram:
    """Pixels int64 `[C]` and images int64 `[C]` of every class.

    `usable` are the indices of the samples that can be scored, or of all samples where nothing
    has a mask; `broken` has the reason for each other one, `unlabelled` those without a mask.
    `shown` is bool `[N, C]`: whether each usable image, in their order, has a pixel of a class.
    """

    class_names: tuple[str, ...]
    pixels: np.ndarray
    images: np.ndarray
    ignored_pixels: int
    usable: tuple[int, ...]
    broken: Mapping[int, str]
    unlabelled: tuple[int, ...]
    shown: np.ndarray

    @property
    def classes_present(self) -> tuple[int, ...]:
        """Ids of the classes with at least one pixel."""
        return tuple(np.flatnonzero(self.pixels).tolist())

    def summary(self) -> str:
        """The number of classes that occur, the largest and what is ignored, in one line.

        By it a wrong label set, or a wrong colour of the background, is seen before hours of work.
        """
        total = max(int(self.pixels.sum()) + self.ignored_pixels, 1)
        present, classes = self.classes_present, len(self.class_names)
        largest = sorted(present, key=lambda c: -int(self.pixels[c]))[:_LARGEST]
        shares = [
            f"{self.class_names[c]} {100 * int(self.pixels[c]) / total:.1f} %" for c in largest
        ]
        shares.append(f"ignored {100 * self.ignored_pixels / total:.1f} %")
        absent = [name for c, name in enumerate(self.class_names) if c not in present]
        more = ", …" if len(absent) > _ABSENT else ""
        without = f"; without {', '.join(absent[:_ABSENT])}{more}" if absent else ""
        return f"{len(present)} of {classes} classes{without}; pixels: {', '.join(shares)}"


def class_histogram(
    dataset: SegmentationDataset,
    *,
    strict: bool = False,
    track: Track = quiet,
    processes: Processes = ALONE,
) -> ClassHistogram:
    """Count the pixels of every class in all masks of a data set; holds one mask at a time.

    Meant for the start of a run: what is wrong with the masks shows now and not after hours. A
    mask that is broken, or differs in size from its image, is logged, named and left out.

    Raises:
        UnknownClassError: an id outside the label set.
        BrokenSampleError: a broken mask, with `strict`.
        ValueError: there are masks, and every one is broken.
    """
    mine = processes.share(range(len(dataset)))
    read = [_read(dataset, i, strict) for i in track(mine, "reading masks", len(mine))]
    num_classes = dataset.num_classes
    pixels = np.zeros(num_classes, dtype=np.int64)
    ignored = 0
    usable: list[int] = []
    shown: list[np.ndarray] = []
    unlabelled: list[int] = []
    broken: dict[int, str] = {}
    for index, found in enumerate(processes.join(read)):
        if found is None:
            unlabelled.append(index)
        elif isinstance(found, str):
            broken[index] = found
        else:
            pixels += found[:num_classes]
            shown.append(found[:num_classes] > 0)
            ignored += int(found[-1])
            usable.append(index)
    if broken and not usable:
        raise ValueError(
            f"no mask of {dataset.name} {dataset.split} can be used: {next(iter(broken.values()))}"
        )
    of_images = np.array(shown, dtype=bool).reshape(len(shown), num_classes)
    return ClassHistogram(
        class_names=dataset.class_names,
        pixels=pixels,
        images=of_images.sum(axis=0),
        ignored_pixels=ignored,
        usable=tuple(usable or unlabelled),
        broken=broken,
        unlabelled=tuple(unlabelled),
        shown=of_images,
    )


def check_told_apart(labels: ClassHistogram, dataset: SegmentationDataset) -> None:
    """Warn where the masks show one class of several, so that any score is perfect or means little.

    Args:
        labels: of the data set.

    Raises:
        ValueError: there is one class at all, all is ignored, or all is 0 and 255, which is
            ignored but often meant as a second class.
    """
    present = labels.classes_present
    if len(present) > 1 or labels.usable == labels.unlabelled:
        return
    masks = f"the masks of {dataset.name} {dataset.split} in {dataset.root}"
    if not present:
        raise ValueError(f"{masks} hold nothing but 255, which is ignored: there is no class")
    name = labels.class_names[present[0]]
    if present == (0,) and labels.ignored_pixels:
        raise ValueError(
            f"{masks} hold 0 ({name}) and 255 (ignored) alone: are they black and white? Then "
            "set binary=true of dataset=folder, or store 0 and 1"
        )
    alone = f"{masks} hold one class alone, {name}: there is nothing to tell apart"
    if len(labels.class_names) == 1:
        raise ValueError(f"{alone}; add masks of other classes")
    logger.warning("%s, and no score means anything", alone)


def _read(dataset: SegmentationDataset, index: int, strict: bool) -> np.ndarray | str | None:
    """Pixels of each class `[C + 1]`, ignored ones last; a reason; or None without a mask."""
    try:
        mask = dataset.load_mask(index)
        if mask is None:
            return None
        dataset.check_size(index, mask)
    except BrokenSampleError as error:
        if strict:
            raise
        logger.warning("left out: %s", error)
        return str(error)
    counts = np.bincount(mask.numpy().ravel(), minlength=dataset.ignore_index + 1)
    return np.append(counts[: dataset.num_classes], counts[dataset.ignore_index])
