"""Random crops of a data set as a data set of its own, so that their features can be stored."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.multi_crop import random_box
from leopart_kit.evaluation.scores.resizing import resize_image, resize_labels

CROP_SCALE = (0.25, 1.0)  # of the image's area
Box = tuple[int, int, int, int]  # x0, y0, x1, y1


class AugmentedImages(SegmentationDataset):
    """One random crop of every image, mirrored half of the time, with its mask.

    Crops follow from the numbers of the epoch and of the image: several processes and a resumed run
    see the same ones.

    Args:
        epoch: which draw.
        resolution: `(H, W)` of the crops in pixels.
        scale: smallest and largest share of the image's area.
        seed: other seeds, other crops.
    """

    def __init__(
        self,
        base: SegmentationDataset,
        epoch: int,
        resolution: tuple[int, int],
        scale: tuple[float, float] = CROP_SCALE,
        seed: int = 0,
    ) -> None:
        super().__init__(
            base.name,
            f"{base.split}-crops{epoch}",
            base.root,
            base.label_set,
            base._samples,
            base._read_mask,
            base.notes,
            base.max_megapixels,
        )
        self.base = base
        self.epoch, self.resolution, self.scale, self.seed = epoch, resolution, scale, seed

    def load_image(self, index: int) -> Tensor:
        image = self.base.load_image(index)
        (x0, y0, x1, y1), mirrored = self._draw(index, image.shape[1], image.shape[2])
        crop = resize_image(image[:, y0:y1, x0:x1], self.resolution)
        return TF.horizontal_flip(crop) if mirrored else crop

    def load_mask(self, index: int) -> Tensor | None:
        mask = self.base.load_mask(index)
        if mask is None:
            return None
        (x0, y0, x1, y1), mirrored = self._draw(index, mask.shape[0], mask.shape[1])
        crop = resize_labels(mask[y0:y1, x0:x1], self.resolution)
        return TF.horizontal_flip(crop) if mirrored else crop

    def image_size(self, index: int) -> tuple[int, int]:
        return self.resolution

    def fingerprint(self) -> str:
        draw = f"{self.base.fingerprint()} {self.epoch} {self.resolution} {self.scale} {self.seed}"
        return hashlib.sha256(draw.encode()).hexdigest()

    def mask_fingerprint(self) -> str:
        """That of the whole masks: how they are cut is in `fingerprint`."""
        return self.base.mask_fingerprint()

    def _draw(self, index: int, height: int, width: int) -> tuple[Box, bool]:
        seed = int(np.random.default_rng([self.seed, self.epoch, index]).integers(2**62))
        generator = torch.Generator().manual_seed(seed)
        box = random_box(height, width, self.scale, generator=generator)
        return box, bool(torch.rand((), generator=generator) < 0.5)
