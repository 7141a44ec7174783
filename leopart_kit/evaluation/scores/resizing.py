"""The resizings of dense protocols: images and scores smoothly, labels by nearest neighbour."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as TF


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 `[3, H, W]` → uint8 `[3, *size]`, bilinear with antialiasing."""
    return TF.resize(image, list(size), InterpolationMode.BILINEAR, antialias=True)


def resize_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """Integer `[H, W]` or `[B, H, W]` → the same with the last two sides of `size`, nearest."""
    if tuple(labels.shape[-2:]) == tuple(size):
        return labels
    rows = _nearest(labels.shape[-2], size[0])
    columns = _nearest(labels.shape[-1], size[1])
    return labels[..., rows[:, None], columns]


def enlarge(
    scores: Tensor, size: tuple[int, int], covered: tuple[float, float] = (1.0, 1.0)
) -> Tensor:
    """Scores `[B, C, h, w]` → `[B, C, *size]`, bilinear.

    Args:
        covered: share of the grid that the image itself covers, see `covered_share`; what lies
            beyond was padding and is cut off.
    """
    if min(covered) == 1:
        return F.interpolate(scores, size=size, mode="bilinear")
    scales = [
        pixels / (cells * share)
        for pixels, cells, share in zip(size, scores.shape[-2:], covered, strict=True)
    ]
    # As `F.interpolate`, which cannot have both a size and scales. Where the size is that of the
    # grid torch copies and forgets the scale: then one pixel more is asked for, and cut off.
    asked = [
        pixels + (pixels == cells) for pixels, cells in zip(size, scores.shape[-2:], strict=True)
    ]
    found = torch.ops.aten.upsample_bilinear2d(scores, asked, False, *scales)
    return found[..., : size[0], : size[1]]


def classes_at(
    scores: Tensor, size: tuple[int, int], covered: tuple[float, float] = (1.0, 1.0)
) -> Tensor:
    """Scores `[C, h, w]` → the class of every pixel, int64 `[*size]`.

    They are enlarged, see `enlarge`, and the largest wins, the first of equal ones.
    """
    planes = enlarge(scores[None], size, covered)[0]
    # The same answer as argmax, which takes four times as long across planes on a CPU.
    return planes.max(dim=0).indices


def _nearest(source: int, target: int) -> Tensor:
    """Source positions `[target]` that `torch.nn.functional.interpolate` takes for `nearest`."""
    positions = torch.arange(source, dtype=torch.float32).view(1, 1, source)
    return F.interpolate(positions, size=target, mode="nearest").view(-1).long()
