"""Centre crops of a data set, as protocols with 27 classes score them."""

from __future__ import annotations

import hashlib
from typing import Literal

import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.segmentation import Item, SegmentationDataset

Interpolation = Literal["bilinear", "nearest"]


def center_crops(
    dataset: SegmentationDataset, size: int, interpolation: Interpolation = "bilinear"
) -> CenterCrops:
    """`CenterCrops` of a data set; itself where it is those crops already."""
    if isinstance(dataset, CenterCrops) and (dataset.size, dataset.interpolation) == (
        size,
        interpolation,
    ):
        return dataset
    return CenterCrops(dataset, size, interpolation)


class CenterCrops(SegmentationDataset):
    """The data set of which images, masks and sizes are square crops from the middle.

    The shorter side is resized to `size` pixels, then the middle `size x size` pixels are cut out:
    the preprocessing of PiCIE (Cho et al. 2021, section 4) and STEGO (Hamilton et al. 2022).
    Images are resized bilinearly (antialiased) or by nearest neighbour, masks by nearest neighbour
    from the centre of each pixel, as Pillow does.

    Args:
        whole: the data set to cut.
        size: side of the crops in pixels.
        interpolation: of the images; STEGO takes `nearest` for them too.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(
        self, whole: SegmentationDataset, size: int, interpolation: Interpolation = "bilinear"
    ) -> None:
        if size < 1:
            raise ValueError(f"centre crops need a side of 1 pixel or more, got {size}")
        note = f"centre crops of {size} x {size} pixels, the shorter side resized to {size}"
        if interpolation == "nearest":
            note += " by nearest neighbour"
        super().__init__(
            whole.name,
            whole.split,
            whole.root,
            whole.label_set,
            whole._samples,
            whole._read_mask,
            (*whole.notes, note),
            whole.max_megapixels,
        )
        self.whole = whole
        self.size = size
        self.interpolation: Interpolation = interpolation

    def spread(self, num_images: int) -> CenterCrops:
        """At most `num_images` crops at even distances, see `SegmentationDataset.spread`."""
        return CenterCrops(self.whole.spread(num_images), self.size, self.interpolation)

    def load_image(self, index: int) -> torch.Tensor:
        """The crop of the image, uint8 `[3, size, size]`; raises `BrokenSampleError`."""
        if self.interpolation == "nearest":
            return self._crop(self.whole.load_image(index), InterpolationMode.NEAREST_EXACT)
        image = self.whole.load_reduced(index, (self.size, self.size))
        return self._crop(image, InterpolationMode.BILINEAR)

    def image_size(self, index: int) -> tuple[int, int]:
        """`(size, size)`."""
        return self.size, self.size

    def load_mask(self, index: int) -> torch.Tensor | None:
        """The crop of the mask, int64 `[size, size]`, or None for a sample without a mask.

        Raises as `SegmentationDataset.load_mask`, and `BrokenSampleError` for a mask that is not
        as large as its image: the two crops would show different places.
        """
        mask = self.whole.load_mask(index)
        if mask is None:
            return None
        self.whole.check_size(index, mask)
        return self._crop(mask[None], InterpolationMode.NEAREST_EXACT)[0]

    def __getitem__(self, index: int) -> Item:
        return self.load_image(index), self.load_mask(index), self.names[index]

    def fingerprint(self) -> str:
        """sha256 over the images' state, see `SegmentationDataset`, and how they are cut."""
        cut = f"{self.whole.fingerprint()} centre {self.size} {self.interpolation}"
        return hashlib.sha256(cut.encode()).hexdigest()

    def mask_fingerprint(self) -> str:
        """That of the whole masks: how they are cut is in `fingerprint`."""
        return self.whole.mask_fingerprint()

    def _crop(self, picture: torch.Tensor, how: InterpolationMode) -> torch.Tensor:
        resized = TF.resize(picture, [self.size], how, antialias=True)
        return TF.center_crop(resized, [self.size, self.size]).contiguous()
