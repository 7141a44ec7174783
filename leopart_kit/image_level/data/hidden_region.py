"""A view of an image and the square of it that is to be painted: context encoders."""

from __future__ import annotations

import torch
from torch import Tensor

from leopart_kit.image_level.data.image_views import RandomViews


class HiddenRegionTransform:
    """Draw a view, and a square at a random place of it.

    Args:
        view: draws one view.
        share: side of the square as a share of the view's side.

    Raises:
        ValueError: a share outside (0, 1], or more than one view.

    Source: Pathak et al., CVPR 2016, section 3.3 (64 of 128 px).
    """

    def __init__(self, view: RandomViews, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"the hidden share of the side must lie in (0, 1], got {share}")
        if len(view.views) != 1:
            raise ValueError(f"a hidden region needs one view, got {len(view.views)}")
        self.view = view
        self.share = share

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 `[3, H, W]` → view `[3, s, s]` and bool `[1, s, s]`, true where it is hidden."""
        (view,) = self.view(image)
        size = self.view.views[0].side
        side = max(1, round(self.share * size))
        top, left = torch.randint(0, size - side + 1, (2,)).tolist()
        hidden = torch.zeros(1, size, size, dtype=torch.bool)
        hidden[:, top : top + side, left : left + side] = True
        return view, hidden
