"""Views of an image together with what is known of the whole image: its frozen patch tokens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from leopart_kit.data.image_files import LeastImage
from leopart_kit.data.multi_crop import MultiCropTransform


class AnchoredViews(NamedTuple):
    """V views of one image, where they were cut out, and tokens of the image.

    torch's default collate function puts a batch dimension in front of every tensor.
    """

    views: list[Tensor]  # V float32 [3, s_v, s_v], normalised
    boxes: Tensor  # [V, 4] xyxy as shares of the image's sides; x0 > x1 for a mirrored view
    tokens: Tensor  # [h, w, D]


class AnchoredTransform:
    """`MultiCropTransform` of an image that comes with tokens.

    Args:
        multi_crop: draws the views.
    """

    def __init__(self, multi_crop: MultiCropTransform) -> None:
        self.multi_crop = multi_crop

    @property
    def least_image(self) -> LeastImage:
        """As of the transform."""
        return self.multi_crop.least_image

    def __call__(self, item: tuple[Tensor, Tensor]) -> AnchoredViews:
        """`(image uint8 [3, H, W], tokens [h, w, D])` → views; raises as the transform does."""
        image, tokens = item
        views = self.multi_crop(image)
        height, width = image.shape[1:]
        boxes = views.crop_boxes / torch.tensor([width, height, width, height])
        # The overlap with a mirrored view runs backwards, see `view_overlaps`.
        overlap = views.overlap_in_view[:, 0]
        mirrored = overlap[:, 0] > overlap[:, 2]
        boxes[mirrored] = boxes[mirrored][:, [2, 1, 0, 3]]
        return AnchoredViews(views.views, boxes, tokens)
