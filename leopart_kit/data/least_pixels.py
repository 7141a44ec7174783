"""Pixels of an image that its random views need: a larger JPEG is decoded at a reduced size.

A photograph of 12 megapixels takes longer to decode than all its views take to draw.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from leopart_kit.data.training_images import Images, Indexed


@runtime_checkable
class NeedsPixels(Protocol):
    """A transform that knows how many pixels of an image it can use."""

    @property
    def least_pixels(self) -> float: ...


def least_pixels(
    views: Iterable[tuple[int, float]], aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)
) -> float:
    """Pixels of an image, H · W, in which no box is narrower than the view that it becomes.

    Args:
        views: side of each view, and the smallest share of the image's area that its box takes.
        aspect_ratio: `[low, high]` of width / height of a box.
    """
    narrowest = min(aspect_ratio[0], 1 / aspect_ratio[1])
    return max(side**2 / (share * narrowest) for side, share in views)


def decoded_for(images: Indexed, transform: object) -> Any:
    """Images that are decoded no larger than a transform needs them, where it is known."""
    if isinstance(images, Images) and isinstance(transform, NeedsPixels):
        return images.of_at_least(transform.least_pixels)
    return images
