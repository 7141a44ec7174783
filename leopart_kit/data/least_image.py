"""How large an image its random views need: a larger JPEG is decoded at a reduced size.

A photograph of 12 megapixels takes longer to decode than all its views take to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from leopart_kit.data.image_files import LeastImage
from leopart_kit.data.multi_crop_settings import MultiCropSettings
from leopart_kit.data.training_images import Images, Indexed


@runtime_checkable
class KnowsLeastImage(Protocol):
    """A transform that knows how large an image it can use."""

    @property
    def least_image(self) -> LeastImage: ...


def least_image(
    views: Sequence[tuple[int, float]],
    aspect_ratio: tuple[float, float] = MultiCropSettings.aspect_ratio,
) -> LeastImage:
    """The least image in which no box is narrower than the view that it becomes.

    Boxes of a long and narrow image are as wide as its shorter side allows.

    Args:
        views: side of each view, and the smallest share of the image's area that its box takes.
        aspect_ratio: `[low, high]` of width / height of a box.
    """
    narrowest = min(aspect_ratio[0], 1 / aspect_ratio[1])
    pixels = max(side**2 / (share * narrowest) for side, share in views)
    return LeastImage(pixels, max(side for side, _ in views))


def decoded_for(images: Indexed, transform: object) -> Indexed:
    """Images that are decoded no larger than a transform needs them, where it is known."""
    if isinstance(images, Images) and isinstance(transform, KnowsLeastImage):
        return images.of_at_least(transform.least_image)
    return images
