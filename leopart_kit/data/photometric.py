"""Random changes of colour and sharpness that leave every pixel where it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as TF


class Jitter(NamedTuple):
    """A change of colour: three factors, a turn of the hue, and the order of the four."""

    brightness: float
    contrast: float
    saturation: float
    turn: float
    order: tuple[int, ...]


class PhotometricChange(NamedTuple):
    """All that is changed of one image, as it was drawn.

    Attributes:
        jitter: None for none.
        grey: drop the colour.
        sigma: of the blur in pixels, None for none.
        solarise: invert the values above the middle.
    """

    jitter: Jitter | None
    grey: bool
    sigma: float | None
    solarise: bool = False

    def apply(self, image: Tensor) -> Tensor:
        """The changed image, float `[3, H, W]` in [0, 1] as it was."""
        if self.jitter is not None:
            brightness, contrast, saturation, turn, order = self.jitter
            steps: list[Callable[[Tensor], Tensor]] = [
                partial(TF.adjust_brightness, brightness_factor=brightness),
                partial(TF.adjust_contrast, contrast_factor=contrast),
                partial(TF.adjust_saturation, saturation_factor=saturation),
                partial(turn_hue, turn=turn),
            ]
            for step in order:
                image = steps[step](image)
        if self.grey:
            image = TF.rgb_to_grayscale(image, num_output_channels=3)
        if self.sigma is not None:
            image = gaussian_blur(image, self.sigma)
        return TF.solarize(image, 0.5) if self.solarise else image


@dataclass(frozen=True)
class PhotometricAugmentation:
    """Colour jitter, greyscale and Gaussian blur, each with its own probability.

    Defaults are those of the Leopart training. With `strength` s, brightness, contrast and
    saturation are scaled by a factor from (1 - 0.8 s, 1 + 0.8 s) and the hue is turned by up to
    0.2 s of the colour circle, in random order.

    Attributes:
        strength: s above, in [0, 2.5]; 0 for no jitter.
        jitter_probability: of the colour jitter.
        grey_probability: of dropping the colour.
        blur_probability: of the blur.
        blur_sigma: range of the blur's standard deviation in pixels.

    Raises:
        ValueError: if a value lies outside its range.

    Source: Chen et al. (SimCLR), ICML 2020, appendix A; Ziegler and Asano (Leopart), CVPR 2022.
    """

    strength: float = 1.0
    jitter_probability: float = 0.8
    grey_probability: float = 0.2
    blur_probability: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 2.5:
            raise ValueError(f"strength must lie in [0, 2.5], got {self.strength}")
        for name in ("jitter_probability", "grey_probability", "blur_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f"blur_sigma must be 0 < low <= high, got {self.blur_sigma}")

    def __call__(self, image: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Change a float image `[3, H, W]` in [0, 1]; returns the same shape and range.

        Draws come from `generator` or, without one, from torch's global generator.
        """
        return self.draw(generator).apply(image)

    def draw(self, generator: torch.Generator | None = None) -> PhotometricChange:
        """What to change of one image."""
        jitter = sigma = None
        if self.strength > 0 and uniform(0, 1, generator) < self.jitter_probability:
            jitter = self._draw_jitter(generator)
        grey = uniform(0, 1, generator) < self.grey_probability
        if uniform(0, 1, generator) < self.blur_probability:
            sigma = uniform(*self.blur_sigma, generator)
        return PhotometricChange(jitter, grey, sigma)

    def _draw_jitter(self, generator: torch.Generator | None) -> Jitter:
        low, high = max(0.0, 1 - 0.8 * self.strength), 1 + 0.8 * self.strength
        brightness, contrast, saturation = (uniform(low, high, generator) for _ in range(3))
        turn = uniform(-0.2 * self.strength, 0.2 * self.strength, generator)
        order = torch.randperm(4, generator=generator).tolist()
        return Jitter(brightness, contrast, saturation, turn, tuple(order))


def uniform(low: float, high: float, generator: torch.Generator | None = None) -> float:
    """One draw from [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `[3, H, W]`, cut off at 3 sigma, reflected at the border.

    Adds up shifted copies, first along x, then along y: on a CPU several times faster than a
    convolution with three channels.
    """
    for dim in (-1, -2):
        image = _blur_axis(image, sigma, dim)
    return image


def _blur_axis(image: Tensor, sigma: float, dim: int) -> Tensor:
    length = image.shape[dim]
    radius = min(math.ceil(3 * sigma), length - 1)
    padded = reflected(image, radius, dim)
    blurred = torch.zeros_like(image)
    for shift, weight in enumerate(blur_weights(sigma, radius).tolist()):
        blurred.add_(padded.narrow(dim, shift, length), alpha=weight)
    return blurred


def blur_weights(sigma: float, radius: int) -> Tensor:
    """Weights `[2 · radius + 1]` of a Gaussian blur, which add up to 1."""
    distances = torch.arange(-radius, radius + 1)
    return torch.softmax(-(distances**2) / (2 * sigma**2), dim=0)


def reflected(image: Tensor, radius: int, dim: int) -> Tensor:
    """An image with a border of so many pixels before and behind one of the last two dimensions."""
    border = [radius, radius, 0, 0] if dim == -1 else [0, 0, radius, radius]
    return F.pad(image, border, mode="reflect")


def turn_hue(image: Tensor, turn: float | Tensor) -> Tensor:
    """Turn the hue of RGB images `[..., 3, H, W]` in [0, 1] by a fraction of the colour circle.

    Keeps value and saturation of the HSV model, like torchvision's `adjust_hue`, in a few passes
    over the pixels instead of two conversions. `turn` may be `[..., 1, 1]`, one for each image.
    """
    red, green, blue = image.unbind(-3)
    value = image.amax(dim=-3)
    chroma = value - image.amin(dim=-3)
    divisor = chroma.clamp(min=torch.finfo(image.dtype).tiny)
    # Hue in sixths of the circle: 0 red, 2 green, 4 blue.
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    hue += 6 * turn
    # HSV to RGB: channel n is V - chroma * max(0, min(k, 4 - k, 1)) with k = n + hue modulo 6.
    channels = torch.arange(5, 0, -2, device=image.device)[:, None, None]  # 5, 3, 1
    k = (hue[..., None, :, :] + channels).remainder_(6)
    value, chroma = value[..., None, :, :], chroma[..., None, :, :]
    return value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)
