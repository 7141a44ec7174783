"""Independent random views of an image, as the image-level methods draw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from leopart_kit.data.image_files import LeastImage
from leopart_kit.data.least_image import least_image
from leopart_kit.data.multi_crop import random_box
from leopart_kit.data.photometric import PhotometricAugmentation, uniform
from leopart_kit.data.unfinished_views import EndView, Look, finish_view
from leopart_kit.settings import Count, PositiveRange, Probability, ShareRange, Whole, settings

REFERENCE_SIZE = 224
"""Side of the views for which the papers give the blur in pixels."""


@settings
class ViewSettings:
    """`count` views of an image.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    count: Whole = 1
    """Views of this kind."""
    size: Count | None = None
    """Side in pixels; null: views.global_size, of the kind `local` views.local_size."""
    scale: ShareRange = (0.08, 1.0)
    """`[low, high]` of the crop's share of the image area."""
    flip_probability: Probability = 0.5
    """Of mirroring left to right."""
    jitter: Annotated[float, Field(ge=0, le=2.5)] = 0.0
    """Strength of the colour jitter; 0 for none."""
    jitter_probability: Probability = 0.8
    """Of the colour jitter."""
    grey_probability: Probability = 0.0
    """Of dropping the colour."""
    blur_probability: Probability = 0.0
    """Of a Gaussian blur."""
    blur_sigma: PositiveRange = (0.1, 2.0)
    """`[low, high]` of its sigma in pixels where the largest views are 224 px wide, in proportion
    otherwise."""
    solarise_probability: Probability = 0.0
    """Of inverting all values above the middle."""

    @property
    def side(self) -> int:
        """Side in pixels."""
        return REFERENCE_SIZE if self.size is None else self.size

    def photometric(self, largest: int) -> PhotometricAugmentation:
        """The changes of colour and sharpness, for views of which the largest has this side."""
        low, high = (sigma * largest / REFERENCE_SIZE for sigma in self.blur_sigma)
        return PhotometricAugmentation(
            strength=self.jitter,
            jitter_probability=self.jitter_probability,
            grey_probability=self.grey_probability,
            blur_probability=self.blur_probability,
            blur_sigma=(low, high),
        )


class RandomViews:
    """Crop, mirror and recolour an image several times, every time anew.

    Args:
        kinds: the views in the order in which they are returned.
        mean, std: of the normalisation, in RGB for values in [0, 1].
        region: range of the share of the image's area in which all its views lie together, drawn
            anew each time. Views of a whole scene may show different things.
        end: ends each view; `leave_unfinished` where a device finishes the batch.

    Raises:
        ValueError: no view at all, or a region outside (0, 1].
    """

    def __init__(
        self,
        kinds: Sequence[ViewSettings],
        mean: Sequence[float],
        std: Sequence[float],
        region: tuple[float, float] = (1.0, 1.0),
        end: EndView = finish_view,
    ) -> None:
        if not 0 < region[0] <= region[1] <= 1:
            raise ValueError(f"region must be 0 < low <= high <= 1, got {region}")
        self.region = region
        self.views = [kind for kind in kinds for _ in range(kind.count)]
        if not self.views:
            raise ValueError("there must be a view; set the count of one kind to 1 or more")
        largest = max(view.side for view in self.views)
        self.looks = [Look(view.photometric(largest), list(mean), list(std)) for view in self.views]
        self.end = end

    def __call__(self, image: Tensor) -> list[Any]:
        """uint8 `[3, H, W]` → V float32 `[3, s_v, s_v]`, normalised; or as `end` leaves them.

        Draws come from torch's global generator.
        """
        if self.region[0] < 1:
            x0, y0, x1, y1 = random_box(image.shape[1], image.shape[2], self.region)
            image = image[:, y0:y1, x0:x1]
        pairs = zip(self.views, self.looks, strict=True)
        return [self._view(image, kind, look) for kind, look in pairs]

    @property
    def least_image(self) -> LeastImage:
        """The least image in which no box is narrower than its view."""
        return least_image([(view.side, self.region[0] * view.scale[0]) for view in self.views])

    def _view(self, image: Tensor, kind: ViewSettings, look: Look) -> Any:
        x0, y0, x1, y1 = random_box(image.shape[1], image.shape[2], kind.scale)
        size = [kind.side, kind.side]
        view = TF.resized_crop(image, y0, x0, y1 - y0, x1 - x0, size, antialias=True)
        if uniform(0, 1) < kind.flip_probability:
            view = TF.horizontal_flip(view)
        change = look.draw()
        solarise = uniform(0, 1) < kind.solarise_probability
        return self.end(view, change._replace(solarise=solarise), look)


class CentralView:
    """The whole image's central square, the same at each call.

    Args:
        size: side in pixels; the image's shorter side is resized to it.
        mean, std: of the normalisation.
    """

    def __init__(self, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self.size = size
        self.mean, self.std = list(mean), list(std)

    def __call__(self, image: Tensor) -> Tensor:
        """uint8 `[3, H, W]` → float32 `[3, size, size]`, normalised."""
        image = TF.center_crop(TF.resize(image, [self.size], antialias=True), [self.size])
        return TF.normalize(TF.to_dtype(image, torch.float32, scale=True), self.mean, self.std)


class OfImage:
    """A transform of the image of an item `(image, more)`; what else is in it stays."""

    def __init__(self, transform: RandomViews) -> None:
        self.transform = transform

    @property
    def least_image(self) -> LeastImage:
        """As of the transform."""
        return self.transform.least_image

    def __call__(self, item: tuple[Tensor, object]) -> tuple[list[Tensor], object]:
        """`(uint8 [3, H, W], more)` → `(views, more)`."""
        image, more = item
        return self.transform(image), more
