"""Settings of overlapping views."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from leopart_kit.data.photometric import PhotometricAugmentation
from leopart_kit.settings import Count, PositiveRange, Probability, ShareRange, Whole, settings


@settings
class MultiCropSettings:
    """Overlapping views of an image; the defaults are Leopart's.

    Image-level methods have views of their own and take `global_size` and `local_size` from here.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    global_size: Count = 224
    """Side of a global view in pixels."""
    local_size: Count = 96
    """Side of a local view in pixels."""
    num_global: Count = 2
    """Global views of an image."""
    num_local: Whole = 4
    """Local views of an image."""
    global_scale: ShareRange = (0.25, 1.0)
    """`[low, high]` of a global box's share of the image area."""
    local_scale: ShareRange = (0.05, 0.25)
    """`[low, high]` of a local box's share of the image area."""
    aspect_ratio: PositiveRange = (3 / 4, 4 / 3)
    """`[low, high]` of width / height of a box, drawn log-uniformly."""
    min_global_overlap: Probability = 0.02
    """Share of the image area that two global views must exceed together."""
    min_overlap: Probability = 0.01
    """Share of the image area that a local view must exceed with each global view."""
    flip_probability: Probability = 0.0
    """Of mirroring a view left to right."""
    jitter: Annotated[float, Field(ge=0, le=2.5)] = 1.0
    """Strength of the colour jitter; 0 for none."""
    grey_probability: Probability = 0.2
    """Of dropping the colour."""
    blur_probability: Probability = 0.5
    """Of a Gaussian blur."""
    reduced_decoding: bool = True
    """Decode large JPEGs at 1/2, 1/4 or 1/8 of their sides, where no view is enlarged for it."""

    def photometric(self) -> PhotometricAugmentation:
        """Changes of colour and sharpness, drawn anew for each view."""
        return PhotometricAugmentation(
            strength=self.jitter,
            grey_probability=self.grey_probability,
            blur_probability=self.blur_probability,
        )
