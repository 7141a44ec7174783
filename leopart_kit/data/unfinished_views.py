"""Views whose colours are changed later: for a whole batch at once, on the device that trains.

A loader's worker draws and cuts out a view, and leaves the rest to the device: all its pixels are
passed over a few times, which costs a core more than decoding the image, and a GPU next to nothing.
The draws are the same as those of a view that is finished at once, and so is the result, to
rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.photometric import (
    PhotometricAugmentation,
    PhotometricChange,
    blur_weights,
    reflected,
    turn_hue,
)


class Look(NamedTuple):
    """How views look: their random changes, and the normalisation in RGB for values in [0, 1]."""

    photometric: PhotometricAugmentation | None
    mean: Sequence[float]
    std: Sequence[float]

    def draw(self, generator: torch.Generator | None = None) -> PhotometricChange:
        """What to change of one view."""
        if self.photometric is None:
            return PhotometricChange(None, False, None)
        return self.photometric.draw(generator)


EndView = Callable[[Tensor, PhotometricChange, Look], Any]
"""Ends a view uint8 `[3, s, s]`, of which the change was drawn."""


class UnfinishedView(NamedTuple):
    """A view with what is still to be done to it; collated, each with a batch dimension in front.

    The widths are the same for all views that are drawn alike, so that a device need not be asked.
    """

    pixels: Tensor  # uint8 [3, s, s]
    jitter: Tensor  # [8]: three factors, the turn of the hue, the order of the four; or [0]
    blur: Tensor  # [K] weights of the shifted copies, the one in the middle alone for no blur
    flags: Tensor  # [2]: grey, solarise
    normalisation: Tensor  # [2, 3]: mean, standard deviation


def finish_view(view: Tensor, change: PhotometricChange, look: Look) -> Tensor:
    """The view float32 `[3, s, s]`, changed and normalised at once."""
    changed = change.apply(TF.to_dtype(view, torch.float32, scale=True))
    return TF.normalize(changed, list(look.mean), list(look.std))


def leave_unfinished(view: Tensor, change: PhotometricChange, look: Look) -> UnfinishedView:
    """The view as it was cut out, for `finish_views`."""
    return UnfinishedView(
        view,
        _jitter(change, look.photometric),
        _blur(change, look.photometric, view.shape[-1]),
        torch.tensor([change.grey, change.solarise]),
        torch.tensor([list(look.mean), list(look.std)], dtype=torch.float32),
    )


def _jitter(change: PhotometricChange, photometric: PhotometricAugmentation | None) -> Tensor:
    if photometric is None or 0 in (photometric.strength, photometric.jitter_probability):
        return torch.empty(0)
    if change.jitter is None:
        return torch.tensor([1.0, 1.0, 1.0, 0.0, -1, -1, -1, -1])  # nobody's turn
    return torch.tensor([*change.jitter[:4], *change.jitter.order])


def _blur(
    change: PhotometricChange, photometric: PhotometricAugmentation | None, side: int
) -> Tensor:
    most = 0.0
    if photometric is not None and photometric.blur_probability > 0:
        most = photometric.blur_sigma[1]
    radius = min(math.ceil(3 * most), side - 1)
    weights = torch.zeros(2 * radius + 1)
    if change.sigma is None:
        weights[radius] = 1.0
        return weights
    own = min(math.ceil(3 * change.sigma), radius)
    weights[radius - own : radius + own + 1] = blur_weights(change.sigma, own)
    return weights


def finish_views(batch: Any) -> Any:
    """A batch with every `UnfinishedView` in it finished: float32 `[B, 3, s, s]`, normalised."""
    match batch:
        case UnfinishedView():
            return _finished(batch)
        case tuple() if hasattr(batch, "_fields"):
            return type(batch)(*map(finish_views, batch))
        case list() | tuple():
            return type(batch)(map(finish_views, batch))
        case dict():
            return {key: finish_views(value) for key, value in batch.items()}
    return batch


def _finished(views: UnfinishedView) -> Tensor:
    images = views.pixels.float() / 255
    if views.jitter.shape[1]:
        images = _jittered(images, views.jitter)
    grey, solarise = (flag[:, None, None, None] for flag in views.flags.unbind(1))
    images = torch.where(grey, TF.rgb_to_grayscale(images), images)
    if views.blur.shape[1] > 1:
        images = _blurred(_blurred(images, views.blur, -1), views.blur, -2)
    images = torch.where(solarise & (images >= 0.5), 1 - images, images)
    mean, std = views.normalisation[..., None, None].unbind(1)
    return (images - mean) / std


def _jittered(images: Tensor, jitter: Tensor) -> Tensor:
    """Each image changed in its own order: at each place all four, for those whose turn it is."""
    factors = jitter[:, :4, None, None, None].unbind(1)
    for place in range(4, 8):
        which = jitter[:, place, None, None, None]
        for step, change in enumerate(_STEPS):
            images = torch.where(which == step, change(images, factors[step]), images)
    return images


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp_(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, TF.rgb_to_grayscale(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, TF.rgb_to_grayscale(images), factor)


def _hue(images: Tensor, turn: Tensor) -> Tensor:
    return turn_hue(images, turn[:, 0])  # [B, 1, 1]


_STEPS = (_brightness, _contrast, _saturation, _hue)


def _blend(images: Tensor, others: Tensor, share: Tensor) -> Tensor:
    return (images * share + others * (1 - share)).clamp_(0, 1)


def _blurred(images: Tensor, weights: Tensor, dim: int) -> Tensor:
    """A sum of shifted copies, each image with weights `[B, K]` of its own."""
    length = images.shape[dim]
    padded = reflected(images, weights.shape[1] // 2, dim)
    blurred = torch.zeros_like(images)
    for shift, weight in enumerate(weights.unbind(1)):
        blurred.addcmul_(padded.narrow(dim, shift, length), weight[:, None, None, None])
    return blurred
