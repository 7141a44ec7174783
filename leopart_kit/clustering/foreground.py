"""Foreground masks from the attention of a vision transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

BLUR_KERNEL = 7


def attention_foreground(attention: Tensor, mass: float = 0.6, blur_sigma: float = 0.6) -> Tensor:
    """Mark the patches that hold most of the CLS token's attention.

    The heads are averaged and the map is blurred (Gaussian 7 x 7, reflect padding). The strongest
    patches that together hold `mass` of the total are kept. Then 8-connected components of one or
    two patches are dropped. A mask may end up empty.

    On a side of fewer than 4 patches the kernel shrinks to the largest odd width that reflect
    padding allows (2 · side - 1).

    Args:
        attention: `[B, heads, h, w]`, non-negative attention of the CLS token to the patches.
        mass: share of the total attention to keep, in (0, 1].
        blur_sigma: standard deviation of the blur in patches; 0 for no blur.

    Returns:
        bool `[B, h, w]`.

    Raises:
        ValueError: if the shape is not `[B, heads, h, w]`, `mass` is outside (0, 1] or
            `blur_sigma` is negative.

    Source: Caron et al. (DINO), ICCV 2021, section 4.2.2; Ziegler and Asano (Leopart), CVPR 2022,
    section 3.1 and its released code for blur and small components.
    """
    if attention.ndim != 4:
        raise ValueError(
            f"attention must be [images, heads, h, w], got shape {list(attention.shape)}"
        )
    if not 0 < mass <= 1 or blur_sigma < 0:
        raise ValueError(
            f"mass must lie in (0, 1] and blur_sigma be >= 0, got {mass} and {blur_sigma}"
        )
    with torch.autocast(attention.device.type, enabled=False):
        saliency = attention.detach().float().mean(dim=1)
        if blur_sigma > 0:
            height, width = saliency.shape[-2:]
            kernel = [min(BLUR_KERNEL, 2 * side - 1) for side in (width, height)]
            saliency = TF.gaussian_blur(saliency.unsqueeze(1), kernel, [blur_sigma] * 2).squeeze(1)
        return _drop_small_components(_keep_mass(saliency, mass))


def foreground_confidence(attention: Tensor, mask: Tensor) -> Tensor:
    """Clarity with which the attention separates a foreground from the rest of the image.

    The contrast of the mean attention (over the heads) inside and outside the mask, (inside -
    outside) / (inside + outside) (Michelson 1927). It is 0 for even attention, 1 if there is none
    outside. A foreground is found in nearly every image; this says which ones to doubt.

    Args:
        attention: `[B, heads, h, w]`, non-negative.
        mask: bool `[B, h, w]`, as `attention_foreground` gives it.

    Returns:
        float32 `[B]` in 0 … 1; 0 for an empty mask and for one that covers the whole image.

    Raises:
        ValueError: attention that is not `[B, heads, h, w]`, or a mask of another shape.
    """
    if attention.ndim != 4 or mask.shape != attention[:, 0].shape:
        raise ValueError(
            "attention must be [images, heads, h, w] and the mask [images, h, w], got shapes "
            f"{list(attention.shape)} and {list(mask.shape)}"
        )
    saliency = attention.detach().float().mean(dim=1).flatten(1)
    inside = mask.flatten(1).to(saliency.dtype)
    outside = 1 - inside
    mean_inside = (saliency * inside).sum(dim=1) / inside.sum(dim=1)
    mean_outside = (saliency * outside).sum(dim=1) / outside.sum(dim=1)
    contrast = (mean_inside - mean_outside) / (mean_inside + mean_outside)
    return contrast.nan_to_num(nan=0).clamp(0, 1)


def _keep_mass(saliency: Tensor, mass: float) -> Tensor:
    """The strongest patches of `[B, h, w]` holding `mass` of each map's sum."""
    values, order = saliency.flatten(1).sort(dim=1)
    cumulated = torch.cumsum(values / values.sum(dim=1, keepdim=True), dim=1)
    keep = torch.zeros_like(cumulated, dtype=torch.bool)
    keep.scatter_(1, order, cumulated > 1 - mass)
    return keep.view_as(saliency)


def _drop_small_components(mask: Tensor) -> Tensor:
    """Remove 8-connected components of one or two patches.

    In a connected component of three or more, a patch with a single neighbour touches a patch with
    at least two; in a component of one or two no patch has two. So a patch stays if it has two
    neighbours or touches one that has.
    """
    occupied = mask.unsqueeze(1).float()
    kernel = occupied.new_ones(1, 1, 3, 3)
    neighbours = F.conv2d(occupied, kernel, padding=1) - occupied
    well_connected = occupied * (neighbours > 1.5)
    touches = F.max_pool2d(well_connected, 3, stride=1, padding=1) > 0
    return mask & touches.squeeze(1)
