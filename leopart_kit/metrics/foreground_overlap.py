"""Overlap of a foreground mask with all annotated objects together."""

from __future__ import annotations

import torch
from torch import Tensor


def foreground_jaccard(
    foreground: Tensor, target: Tensor, *, background: int = 0, ignore_index: int = 255
) -> Tensor:
    """Jaccard index of the foreground with the union of all classes but the background.

    The score of a set is the mean over its images, as in Leopart (Ziegler & Asano 2022).

    Args:
        foreground: bool `[..., H, W]`.
        target: integer class ids, same shape.
        background: class id that is no foreground.
        ignore_index: id of pixels left out of both.

    Returns:
        percent of each image, float64 `[...]`. An image without an object scores 100 if no
        foreground was found in it either, and 0 otherwise.

    Raises:
        ValueError: shapes differ, or the foreground is not bool.
    """
    if foreground.dtype != torch.bool or foreground.ndim < 2 or foreground.shape != target.shape:
        raise ValueError(
            "foreground must be bool and of the size of the target [..., H, W], got "
            f"{foreground.dtype} {list(foreground.shape)} and {list(target.shape)}"
        )
    labelled = target != ignore_index
    found, wanted = foreground & labelled, (target != background) & labelled
    intersection = (found & wanted).sum(dim=(-2, -1)).double()
    union = (found | wanted).sum(dim=(-2, -1))
    return torch.where(union > 0, 100 * intersection / union.clamp(min=1), 100.0)
