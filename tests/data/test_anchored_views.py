"""Boxes of anchored views: what a view shows is where its box says, mirrored or not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate

from leopart_kit.data import AnchoredTransform, AnchoredViews, MultiCropTransform
from leopart_kit.losses.region_alignment import align_regions

HEIGHT, WIDTH = 96, 128


def coordinates(height: int, width: int, channels: int = 2) -> Tensor:
    """`[height, width, channels]`: x and y of each cell's centre, as shares of the sides."""
    x = (torch.arange(width) + 0.5) / width
    y = (torch.arange(height) + 0.5) / height
    parts = [x.expand(height, width), y[:, None].expand(height, width), torch.zeros(height, width)]
    return torch.stack(parts[:channels], dim=-1)


def coordinate_image() -> Tensor:
    """uint8: red grows to the right, green downwards."""
    shares = coordinates(HEIGHT, WIDTH, channels=3).permute(2, 0, 1)
    return (shares * 255).round().to(torch.uint8)


def draw(flip: float, seed: int, num_local: int = 3) -> AnchoredViews:
    crop = MultiCropTransform(
        32,
        16,
        num_global=2,
        num_local=num_local,
        flip_probability=flip,
        photometric=None,
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )
    torch.manual_seed(seed)
    return AnchoredTransform(crop)((coordinate_image(), coordinates(12, 16)))


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_the_tokens_inside_a_box_are_what_the_view_shows(flip: float):
    for seed in range(5):
        views = draw(flip, seed)
        scale = torch.tensor([16.0, 12.0, 16.0, 12.0])
        for view, box in zip(views.views, views.boxes, strict=True):
            cells = 8
            shown = view[:2].permute(1, 2, 0)
            shown = shown.unflatten(0, (cells, -1)).unflatten(2, (cells, -1)).mean(dim=(1, 3))
            aligned = align_regions(views.tokens[None], (box * scale)[None, None], cells)[0, 0]
            # The border of the token map repeats its last token: half a token of difference.
            torch.testing.assert_close(aligned, shown, rtol=0, atol=0.5 / 12 + 0.01)
            inside = (aligned > 0.08) & (aligned < 0.92)
            torch.testing.assert_close(aligned[inside], shown[inside], rtol=0, atol=0.012)


def test_boxes_are_shares_of_each_side_and_run_backwards_where_mirrored():
    seen = set()
    for seed in range(20):
        views = draw(0.5, seed)
        x0, y0, x1, y1 = views.boxes.unbind(-1)
        assert views.boxes.shape == (5, 4)
        assert ((views.boxes >= 0) & (views.boxes <= 1)).all()
        assert (y0 < y1).all()
        for v, view in enumerate(views.views):
            mirrored = bool(view[0, 0, 0] > view[0, 0, -1])
            assert bool(x0[v] > x1[v]) == mirrored
            seen.add(mirrored)
            left, right = sorted([x0[v].item(), x1[v].item()])
            assert view[0].min().item() == pytest.approx(left, abs=0.03)
            assert view[0].max().item() == pytest.approx(right, abs=0.03)
    assert seen == {False, True}


def test_views_are_those_of_the_multi_crop_transform_and_tokens_pass_untouched():
    crop = MultiCropTransform(32, 16, num_local=1)
    tokens = coordinates(12, 16)
    torch.manual_seed(3)
    views = AnchoredTransform(crop)((coordinate_image(), tokens))
    torch.manual_seed(3)
    expected = crop(coordinate_image())
    assert views.tokens is tokens
    for own, other in zip(views.views, expected.views, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=0)
    pixels = views.boxes * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    torch.testing.assert_close(pixels, expected.crop_boxes)


def test_images_of_different_sizes_collate():
    crop = MultiCropTransform(32, 16, num_local=1)
    items = [(coordinate_image()[:, :height], coordinates(3, 3)) for height in (40, 96)]
    batch = AnchoredViews(*default_collate([AnchoredTransform(crop)(item) for item in items]))
    assert [view.shape for view in batch.views] == [(2, 3, 32, 32)] * 2 + [(2, 3, 16, 16)]
    assert batch.boxes.shape == (2, 3, 4)
    assert batch.tokens.shape == (2, 3, 3, 2)


def test_an_image_without_suitable_views_is_an_error():
    crop = MultiCropTransform(32, 16, min_global_overlap=1.0, global_scale=(0.25, 0.3))
    with pytest.raises(ValueError, match="6 views"):
        AnchoredTransform(crop)((coordinate_image(), coordinates(3, 3)))
