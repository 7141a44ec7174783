from __future__ import annotations

import pytest
import torch

from leopart_kit.image_level.data import HiddenRegionTransform, RandomViews, ViewSettings


def views(count: int = 1) -> RandomViews:
    return RandomViews([ViewSettings(count, 16)], mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_a_square_of_the_given_share_is_hidden_at_any_place():
    image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8)
    transform = HiddenRegionTransform(views(), 0.5)
    corners = set()
    for _ in range(200):
        view, hidden = transform(image)
        assert view.shape == (3, 16, 16)
        rows, columns = hidden[0].any(dim=1).nonzero(), hidden[0].any(dim=0).nonzero()
        assert len(rows) == len(columns) == 8
        assert hidden.sum() == 64
        assert int(rows[-1] - rows[0]) == int(columns[-1] - columns[0]) == 7
        corners.add((int(rows[0]), int(columns[0])))
    assert {row for row, _ in corners} == {column for _, column in corners} == set(range(9))


def test_bad_input():
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], got 0"):
        HiddenRegionTransform(views(), 0)
    with pytest.raises(ValueError, match="one view"):
        HiddenRegionTransform(views(2))
