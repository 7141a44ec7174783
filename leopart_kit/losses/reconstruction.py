"""Squared errors of reconstructed pixels: of all, of a region, or of hidden patches."""

from __future__ import annotations

import torch
from torch import Tensor

from leopart_kit.losses.full_precision import full_precision


@full_precision
def masked_squared_error(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the masked values alone.

    Args:
        prediction, target: of equal shape.
        mask: bool, what counts; broadcast against them: `[B, 1, H, W]` for a region of images
            `[B, 3, H, W]`, `[B, N, 1]` for some of N patches `[B, N, values]`.

    Returns:
        scalar; neither value nor gradient depends on what lies outside the mask.

    Raises:
        ValueError: if the shapes differ or nothing is masked.

    Source: Pathak et al. (context encoders), CVPR 2016, equation 1; He et al. (MAE), CVPR 2022,
    section 3.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction {list(prediction.shape)} and target {list(target.shape)} differ in shape"
        )
    counting = mask.bool().expand_as(prediction)
    total = counting.sum()
    # A compiled loss is NaN then, which the loop refuses.
    if not torch.compiler.is_compiling() and not total:
        raise ValueError("nothing is masked, so there is nothing to reconstruct")
    error = torch.where(counting, prediction - target, prediction.new_zeros(()))
    return error.square().sum() / total


def patches_of(images: Tensor, patch_size: int) -> Tensor:
    """Pixels by patch, `[B, 3, H, W]` → `[B, h · w, 3 · p · p]`, row by row of the grid.

    Raises:
        ValueError: if a side is no whole number of patches.
    """
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"images of {height} x {width} px are no whole number of patches of {patch_size} px"
        )
    patches = images.unflatten(3, (-1, patch_size)).unflatten(2, (-1, patch_size))
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


@full_precision
def normalised_patches(images: Tensor, patch_size: int) -> Tensor:
    """`patches_of`, each with mean 0 and variance 1: the targets of MAE.

    Source: He et al. (MAE), CVPR 2022, section 3, "reconstruction target".
    """
    patches = patches_of(images, patch_size)
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
