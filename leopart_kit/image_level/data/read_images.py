"""Images that are no files of their own: rows of an array, crops of a photograph, squares."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data.label_sets import LabelSet
from leopart_kit.data.segmentation import Sample, SegmentationDataset

ImageReader = Callable[[int], Tensor]


class ReadImages(SegmentationDataset):
    """A data set without masks whose image `i` is `read(i)`, uint8 `[3, H, W]`.

    It goes wherever images go: training, feature stores, pages.

    Args:
        name, split, root: as of `SegmentationDataset`.
        samples: a unique name for each image, and the file that stands for it in messages.
        read: picklable, for loader processes; raises `BrokenSampleError` for one bad image.
        identity: everything besides the files that decides what the images look like; part of the
            fingerprint.
        notes: what is worth saying about the data.
    """

    def __init__(
        self,
        name: str,
        split: str,
        root: str | os.PathLike[str],
        samples: Sequence[Sample],
        read: ImageReader,
        identity: str,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(name, split, root, LabelSet("none", ()), samples, _no_mask, notes)
        self._read = read
        self._identity = identity
        self._rows = np.arange(len(samples))

    def load_image(self, index: int) -> Tensor:
        """The image, uint8 `[3, H, W]`; raises `BrokenSampleError`."""
        return self._read(int(self._rows[index]))

    def image_size(self, index: int) -> tuple[int, int]:
        """`(H, W)` of the image; reads it."""
        height, width = self.load_image(index).shape[1:]
        return height, width

    def spread(self, num_images: int) -> ReadImages:
        """At most `num_images` images at even distances, see `SegmentationDataset.spread`."""
        part = super().spread(num_images)
        if part is self:
            return self
        place = {name: row for name, row in zip(self.names, self._rows, strict=True)}
        chosen = copy.copy(self)
        chosen.names, chosen.notes, chosen._samples = part.names, part.notes, part._samples
        chosen._rows = np.array([place[name] for name in part.names])
        return chosen

    def fingerprint(self) -> str:
        """sha256 over the files' state, see `SegmentationDataset`, and what is made of them."""
        return hashlib.sha256(f"{super().fingerprint()} {self._identity}".encode()).hexdigest()


def central_squares(images: SegmentationDataset, share: float = 1.0) -> ReadImages:
    """The central squares of the images, `share` of the shorter side wide.

    ImageNet's usual evaluation (shorter side to 256 pixels, centre 224) is `share` 0.875.

    Raises:
        ValueError: a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"share of the shorter side must lie in (0, 1], got {share}")
    samples = [Sample(name, images.image_file(i)) for i, name in enumerate(images.names)]
    identity = f"central square {share} of {images.fingerprint()}"
    read = _CentralSquare(images, share)
    return ReadImages(images.name, images.split, images.root, samples, read, identity, images.notes)


class _CentralSquare:
    def __init__(self, images: SegmentationDataset, share: float) -> None:
        self.images = images
        self.share = share

    def __call__(self, index: int) -> Tensor:
        image = self.images.load_image(index)
        height, width = image.shape[1:]
        side = max(1, round(self.share * min(height, width)))
        top, left = (height - side) // 2, (width - side) // 2
        return image[:, top : top + side, left : left + side]


class ArrayRows:
    """Reads images out of an array uint8 `[N, H, W, 3]`."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __call__(self, row: int) -> Tensor:
        """Image `row`, uint8 `[3, H, W]`."""
        return torch.from_numpy(self.pixels[row].copy()).permute(2, 0, 1).contiguous()


def _no_mask(sample: Sample) -> np.ndarray:
    raise ValueError(f"{sample.name} has no mask")
