"""Masks of patches in blocks."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

_SMALLEST = 4  # patches of a block
_ASPECT = 0.3  # rows per column lie between this and its inverse
_TRIES = 10


def block_mask(grid: tuple[int, int], share: float) -> Tensor:
    """A mask of rectangles of patches, bool `[h, w]`, True for about `share` of them.

    Blocks of random size and aspect are laid down until the share is reached; fewer patches are
    masked where no further block fits. Draws from Python's global generator.

    Raises:
        ValueError: a share outside [0, 1].

    Source: Bao et al. (BEiT), ICLR 2022, algorithm 1; Zhou et al. (iBOT), ICLR 2022, section 3.3.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    mask = torch.zeros(grid, dtype=torch.bool)
    wanted = int(share * mask.numel())
    while (missing := wanted - int(mask.sum())) > 0:
        if not any(_add_block(mask, missing) for _ in range(_TRIES)):
            break
    return mask


def _add_block(mask: Tensor, missing: int) -> bool:
    """Mask one block of at most `missing` new patches; False if the one that was drawn has none."""
    rows, columns = mask.shape
    area = random.uniform(min(_SMALLEST, missing), missing)
    aspect = math.exp(random.uniform(math.log(_ASPECT), -math.log(_ASPECT)))
    height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if not (0 < height <= rows and 0 < width <= columns):
        return False
    top, left = random.randint(0, rows - height), random.randint(0, columns - width)
    block = mask[top : top + height, left : left + width]
    if not 0 < int((~block).sum()) <= missing:
        return False
    block.fill_(True)
    return True
