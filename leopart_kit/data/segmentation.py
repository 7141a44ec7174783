"""The one data set class: a list of samples, a label set, and a function that reads a mask."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import (
    Color,
    LeastImage,
    Size,
    read_at_least,
    read_image,
    read_image_size,
    read_label_map,
    read_reduced,
)
from leopart_kit.data.image_opening import MAX_MEGAPIXELS
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, LabelTable
from leopart_kit.data.samples import MadeSamples, Sample
from leopart_kit.identity import describe, hash_files, source_of
from leopart_kit.identity.stored import AnyFile

__all__ = [
    "BrokenSampleError",
    "MaskReader",
    "Sample",
    "SegmentationDataset",
    "UnknownClassError",
    "read_classes",
]


Item = tuple[torch.Tensor, torch.Tensor | None, str]
MaskReader = Callable[[Sample], np.ndarray]


def read_classes(
    sample: Sample,
    table: LabelTable,
    colors: Mapping[Color, int] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """Class indices int64 [H, W] of a sample whose mask is one file of ids (or of `colors`)."""
    file = sample.mask_files[0]
    return table(read_label_map(file, colors, max_megapixels), file)


class SegmentationDataset(Dataset[Item]):
    """Images with class masks at native size; masks are optional.

    An item is `(image uint8 [3, H, W], mask int64 [H, W] or None, name)`. Mask values are class
    indices 0 to `num_classes - 1`, or 255 for pixels that belong to no class. `names` holds the
    unique names of the samples in order, `notes` what was detected or left out.
    """

    ignore_index = IGNORE_INDEX

    def __init__(
        self,
        name: str,
        split: str,
        root: str | os.PathLike[str],
        label_set: LabelSet,
        samples: Sequence[Sample],
        read_mask: MaskReader,
        notes: Sequence[str] = (),
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        """Put a data set together from its parts.

        `read_mask` turns a sample with mask files into class indices int64 [H, W]; it must be
        picklable for loader processes. `notes` say what was detected or left out. Images of more
        than `max_megapixels` million pixels count as broken.

        Raises:
            ValueError: no sample at all, or two samples of one name.
        """
        if not samples:
            raise ValueError(f"{name} split {split!r} under {root} is empty; check the root")
        made = isinstance(samples, MadeSamples)
        if not made:
            name_, times = Counter(sample.name for sample in samples).most_common(1)[0]
            if times > 1:
                raise ValueError(
                    f"{name} split {split!r} lists {name_!r} {times} times; list it once"
                )
        self.name = name
        self.split = split
        self.root = Path(root)
        self.label_set = label_set
        self.notes = tuple(notes)
        self.max_megapixels = max_megapixels
        self.names: Sequence[str] = samples.names if made else tuple(s.name for s in samples)
        self._samples: Sequence[Sample] = samples if made else tuple(samples)
        self._read_mask = read_mask

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.label_set.class_names

    @property
    def num_classes(self) -> int:
        return len(self.label_set.class_names)

    @property
    def has_background(self) -> bool:
        """True if class 0 is a background, as in Pascal VOC."""
        return self.label_set.has_background

    @property
    def palette(self) -> np.ndarray:
        """Colours of the classes for indexed masks, uint8 [256, 3]."""
        return self.label_set.palette

    def __len__(self) -> int:
        return len(self._samples)

    def spread(self, num_images: int) -> SegmentationDataset:
        """At most `num_images` samples at even distances, as a data set of its own.

        Raises:
            ValueError: fewer than one image.
        """
        if num_images < 1:
            raise ValueError(f"a part of a data set needs 1 image or more, got {num_images}")
        if num_images >= len(self):
            return self
        rows = np.linspace(0, len(self) - 1, num_images).round().astype(int)
        samples = self._samples
        return SegmentationDataset(
            self.name,
            self.split,
            self.root,
            self.label_set,
            samples.at(rows) if isinstance(samples, MadeSamples) else [samples[i] for i in rows],
            self._read_mask,
            (*self.notes, f"{num_images:,} of {len(self):,} images"),
            self.max_megapixels,
        )

    def image_file(self, index: int) -> AnyFile:
        """The file of the image, or the one inside of another."""
        return self._samples[index].image_file

    def image_path(self, index: int) -> Path:
        """Place of the image, in words: a path that may lead into a tar."""
        return Path(str(self.image_file(index)))

    def load_image(self, index: int) -> torch.Tensor:
        """The image, uint8 [3, H, W]; raises `BrokenSampleError`."""
        return read_image(self._samples[index].image_file, self.max_megapixels)

    def load_reduced(self, index: int, size: Size) -> torch.Tensor:
        """`load_image` for one who resizes to `size` (H, W): see `read_reduced`."""
        if self._makes_images:
            return self.load_image(index)
        return read_reduced(self._samples[index].image_file, size, self.max_megapixels)

    def load_at_least(self, index: int, least: LeastImage) -> torch.Tensor:
        """`load_image` for one who needs no more than the `least` image: see `read_at_least`."""
        if self._makes_images:
            return self.load_image(index)
        return read_at_least(self._samples[index].image_file, least, self.max_megapixels)

    @property
    def _makes_images(self) -> bool:
        """True of a subclass that makes its images itself: it gives them as they are."""
        return type(self).load_image is not SegmentationDataset.load_image

    def image_size(self, index: int) -> tuple[int, int]:
        """`(H, W)` of the image, from its header alone; raises `BrokenSampleError`."""
        return read_image_size(self._samples[index].image_file, self.max_megapixels)

    def load_mask(self, index: int) -> torch.Tensor | None:
        """The class indices, int64 [H, W], or None for a sample without a mask.

        Raises `BrokenSampleError` (unreadable) or `UnknownClassError` (id outside the label set).
        """
        sample = self._samples[index]
        return torch.from_numpy(self._read_mask(sample)) if sample.mask_files else None

    def __getitem__(self, index: int) -> Item:
        sample = self._samples[index]
        image, mask = self.load_image(index), self.load_mask(index)
        if mask is not None and mask.shape != image.shape[1:]:
            raise BrokenSampleError(_size_message(sample, image.shape[1:], mask.shape))
        return image, mask, sample.name

    def check_size(self, index: int, mask: torch.Tensor) -> None:
        """Raise `BrokenSampleError` unless the mask is as large as its image; reads a header."""
        size = self.image_size(index)
        if tuple(mask.shape) != size:
            raise BrokenSampleError(_size_message(self._samples[index], size, mask.shape))

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def fingerprint(self) -> str:
        """SHA-256 (hex) over name, split, and each image's name and content, see `hash_files`.

        It speaks of the images alone, so label sets of the same images share it. A missing file
        counts as such, so that its return is noticed. Of a class of the user's, which may read
        them in its own way, the source counts.
        """
        files = hash_files(self.names, [sample.image_file for sample in self._samples])
        foreign = not type(self).__module__.startswith("leopart_kit.")
        how = (self.max_megapixels, source_of(type(self)) if foreign else None)
        return hashlib.sha256(repr((self.name, self.split, how, files)).encode()).hexdigest()

    def mask_fingerprint(self) -> str:
        """SHA-256 (hex) over classes, their colours, each mask's content and how it is read."""
        pairs = [(sample.name, file) for sample in self._samples for file in sample.mask_files]
        files = hash_files([name for name, _ in pairs], [file for _, file in pairs])
        labels = (self.class_names, self.label_set.colors, describe(self._read_mask))
        return hashlib.sha256(repr((*labels, files)).encode()).hexdigest()


def _size_message(sample: Sample, image_size: Sequence[int], mask_size: Sequence[int]) -> str:
    (height, width), (mask_height, mask_width) = image_size, mask_size
    turned = (
        " (the rotation in the image's EXIF data does not apply to its mask?)"
        if (height, width) == (mask_width, mask_height)
        else ""
    )
    return (
        f"{sample.image_file} is {width} x {height} pixels and its mask {sample.mask_files[0]} "
        f"{mask_width} x {mask_height}; they must be equal{turned}"
    )
