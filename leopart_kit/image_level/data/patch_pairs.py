"""Two neighbouring patches of an image, and where the second lies: context prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Row and column of the second patch relative to the first, by label."""

_NOISE = 0.01  # share of the remaining channel's deviation


class PatchPair(NamedTuple):
    """Two patches and the index of their relative position in `NEIGHBOURS`."""

    centre: Tensor  # [3, p, p], normalised
    neighbour: Tensor  # [3, p, p], normalised
    label: int


class PatchPairTransform:
    """Cut a patch out of an image, and one of its eight neighbours across a gap.

    The gap keeps edges from running on from one patch into the other. The jitter keeps lines that
    run through both from giving the place away. Only one colour channel is kept, since chromatic
    aberration tells how far a patch lies from the middle of the lens.

    Args:
        patch_size: side of a patch in pixels, p.
        gap: between two patches, as a share of p.
        jitter: each patch is moved by up to this share of p along both axes.
        keep_colour: probability of leaving the colours alone.
        image_side: images are resized to this shorter side before; None leaves them as they are.
        mean, std: of the normalisation.

    Images in which the nine patches do not fit are enlarged.

    Raises:
        ValueError: a size below 1, or a jitter that closes the gap.

    Source: Doersch, Gupta & Efros, ICCV 2015, sections 3 and 3.1 (patches of 96 px, gap 48, jitter
    7; "color dropping").
    """

    def __init__(
        self,
        patch_size: int,
        *,
        gap: float = 0.5,
        jitter: float = 7 / 96,
        keep_colour: float = 0.0,
        image_side: int | None = None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        if patch_size < 1 or gap < 0 or not 0 <= jitter <= gap / 2:
            raise ValueError(
                f"patch_size {patch_size} must be 1 or more, gap {gap} 0 or more, and jitter "
                f"{jitter} at most half of the gap"
            )
        self.patch_size = patch_size
        self.gap = round(gap * patch_size)
        self.jitter = min(round(jitter * patch_size), self.gap // 2)
        self.keep_colour = keep_colour
        if image_side is not None and image_side < self.smallest_side:
            raise ValueError(
                f"image_side {image_side} does not hold nine patches of {patch_size} px: use "
                f"{self.smallest_side} or more"
            )
        self.image_side = image_side
        self.mean, self.std = list(mean), list(std)

    def __call__(self, image: Tensor) -> PatchPair:
        """uint8 `[3, H, W]` → pair; draws from torch's global generator."""
        if self.image_side is not None:
            image = TF.resize(image, [self.image_side], antialias=True)
        image = self._large_enough(image)
        step = self.patch_size + self.gap
        top, left = (
            _draw(step + self.jitter, side - step - self.patch_size - self.jitter)
            for side in image.shape[1:]
        )
        label = _draw(0, len(NEIGHBOURS) - 1)
        rows, columns = NEIGHBOURS[label]
        first = self._patch(image, top, left)
        second = self._patch(image, top + rows * step, left + columns * step)
        return PatchPair(first, second, label)

    @property
    def smallest_side(self) -> int:
        """Side of an image that just holds the nine patches."""
        return 3 * self.patch_size + 2 * (self.gap + self.jitter)

    def _large_enough(self, image: Tensor) -> Tensor:
        if min(image.shape[1:]) >= self.smallest_side:
            return image
        return TF.resize(image, [self.smallest_side], antialias=True)

    def _patch(self, image: Tensor, top: int, left: int) -> Tensor:
        top += _draw(-self.jitter, self.jitter)
        left += _draw(-self.jitter, self.jitter)
        patch = image[:, top : top + self.patch_size, left : left + self.patch_size]
        patch = TF.to_dtype(patch, torch.float32, scale=True)
        if torch.rand(()).item() >= self.keep_colour:
            patch = drop_colours(patch)
        return TF.normalize(patch, self.mean, self.std)


def drop_colours(patch: Tensor) -> Tensor:
    """Replace two of three channels `[3, H, W]`, drawn at random, by noise around grey.

    The noise has a hundredth of the deviation of the channel that is kept.
    """
    kept = _draw(0, 2)
    noise = 0.5 + _NOISE * patch[kept].std() * torch.randn(patch.shape)
    noise[kept] = patch[kept]
    return noise


def _draw(low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, ()).item())
