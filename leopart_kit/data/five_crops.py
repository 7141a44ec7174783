"""Five crops of every image: its corners and its middle."""

from __future__ import annotations

import hashlib

import torch
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.label_sets import LabelSet
from leopart_kit.data.segmentation import Sample, SegmentationDataset

_PLACES = ("top_left", "top_right", "bottom_left", "bottom_right", "middle")


class FiveCrops(SegmentationDataset):
    """A data set of five crops of each image, half as high and wide, without masks.

    Items 5 i to 5 i + 4 are those of image i: top left, top right, bottom left, bottom right and
    the middle.

    Args:
        whole: the images to cut.

    Source: Hamilton et al. (STEGO), ICLR 2022, section 4.
    """

    def __init__(self, whole: SegmentationDataset) -> None:
        files = [whole.image_file(index) for index in range(len(whole))]
        samples = [
            Sample(f"{name}/{place}", file)
            for name, file in zip(whole.names, files, strict=True)
            for place in _PLACES
        ]
        super().__init__(
            whole.name,
            whole.split,
            whole.root,
            LabelSet("none", ()),
            samples,
            whole._read_mask,
            (*whole.notes, "five crops of each image, half as high and wide"),
            whole.max_megapixels,
        )
        self.whole = whole
        self._last: tuple[int, torch.Tensor] | None = None

    def load_image(self, index: int) -> torch.Tensor:
        """One crop, uint8 `[3, H / 2, W / 2]`; raises `BrokenSampleError`."""
        image = self._whole_image(index // len(_PLACES))
        size = [max(1, image.shape[-2] // 2), max(1, image.shape[-1] // 2)]
        return TF.five_crop(image, size)[index % len(_PLACES)].contiguous()

    def _whole_image(self, index: int) -> torch.Tensor:
        """An image of the set; the last one is held, since its crops are asked for in a row."""
        if self._last is None or self._last[0] != index:
            self._last = index, self.whole.load_image(index)
        return self._last[1]

    def image_size(self, index: int) -> tuple[int, int]:
        """`(H, W)` of the crop."""
        height, width = self.whole.image_size(index // len(_PLACES))
        return max(1, height // 2), max(1, width // 2)

    def fingerprint(self) -> str:
        """sha256 over the images' state, and that they are cut in five."""
        return hashlib.sha256(f"{self.whole.fingerprint()} five crops".encode()).hexdigest()
