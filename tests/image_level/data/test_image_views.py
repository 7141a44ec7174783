"""Independent views: their number, sizes, order, and that each change really happens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from leopart_kit.image_level.data import CentralView, OfImage, RandomViews, ViewSettings

NONE = {"scale": (1.0, 1.0), "flip_probability": 0.0}


def gradient_image(height: int = 40, width: int = 60) -> Tensor:
    """Red grows to the right, green downwards."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[0] = torch.linspace(0, 255, width).to(torch.uint8)
    image[1] = torch.linspace(0, 255, height).to(torch.uint8)[:, None]
    return image


def views(*kinds: ViewSettings) -> RandomViews:
    return RandomViews(kinds, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_views_come_in_the_order_of_their_kinds():
    drawn = views(ViewSettings(2, 32), ViewSettings(0, 99), ViewSettings(3, 16))(gradient_image())
    assert [tuple(view.shape) for view in drawn] == [(3, 32, 32)] * 2 + [(3, 16, 16)] * 3
    assert not torch.equal(drawn[0], drawn[1])
    assert all(view.min() >= -1 and view.max() <= 1 for view in drawn)


def test_scale_is_the_share_of_the_area():
    small = views(ViewSettings(1, 16, scale=(0.04, 0.05), flip_probability=0.0))
    for _ in range(10):
        (view,) = small(gradient_image(64, 64))
        # A fifth of the width at most holds about a fifth of the gradient's range of 2.
        assert 0.1 < (view[0].max() - view[0].min()).item() < 0.6


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_mirrored_view_has_red_on_the_left(probability: float):
    settings = ViewSettings(1, 32, scale=(1.0, 1.0), flip_probability=probability)
    (view,) = views(settings)(gradient_image(48, 48))
    assert (view[0, 0, 0] > view[0, 0, -1]) == bool(probability)


def test_solarising_inverts_what_is_bright():
    plain, changed = (
        views(ViewSettings(1, 32, **NONE, solarise_probability=p))(gradient_image(32, 32))[0]
        for p in (0.0, 1.0)
    )
    bright = plain >= 0
    torch.testing.assert_close(changed[bright], -plain[bright])
    torch.testing.assert_close(changed[~bright], plain[~bright])


def test_grey_and_jitter_change_the_colours():
    grey = views(ViewSettings(1, 32, **NONE, grey_probability=1.0))(gradient_image())[0]
    assert torch.equal(grey[0], grey[1])
    plain = views(ViewSettings(1, 32, **NONE))(gradient_image())[0]
    jittered = views(ViewSettings(1, 32, **NONE, jitter=1.0, jitter_probability=1.0))
    assert (jittered(gradient_image())[0] - plain).abs().max() > 0.1


def test_blur_is_in_proportion_to_the_largest_view():
    settings = ViewSettings(1, 32, blur_probability=1.0)
    assert settings.photometric(224).blur_sigma == (0.1, 2.0)
    low, high = settings.photometric(32).blur_sigma
    assert (low, high) == pytest.approx((0.1 / 7, 2 / 7))
    drawn = views(ViewSettings(1, 224), settings)
    assert drawn.looks[1].photometric == settings.photometric(224)


def test_the_generator_of_torch_decides():
    transform = views(ViewSettings(2, 16, jitter=1.0, blur_probability=0.5))
    torch.manual_seed(3)
    first = transform(gradient_image())
    torch.manual_seed(3)
    second = transform(gradient_image())
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_central_view_is_always_the_same_square():
    central = CentralView(20, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    view = central(gradient_image(40, 80))
    assert view.shape == (3, 20, 20)
    assert torch.equal(view, central(gradient_image(40, 80)))
    # The middle half of the width: red from a quarter to three quarters of its range.
    assert view[0].min().item() == pytest.approx(-0.5, abs=0.06)
    assert view[0].max().item() == pytest.approx(0.5, abs=0.06)


def test_views_of_a_region_lie_close_together():
    """Ten views, each a fiftieth of the image: in a region of a tenth, red varies little."""
    kind = ViewSettings(10, 8, scale=(0.2, 0.2), flip_probability=0.0)
    near = RandomViews([kind], (0.5,) * 3, (0.5,) * 3, region=(0.1, 0.1))
    far = RandomViews([ViewSettings(10, 8, scale=(0.02, 0.02))], (0.5,) * 3, (0.5,) * 3)
    image = gradient_image(200, 200)
    torch.manual_seed(0)
    for _ in range(5):
        middles = torch.stack([view[0].mean() for view in near(image)])
        # The region is at most √(0.1 · 4/3) wide, of a range of 2.
        assert 0 < middles.max() - middles.min() < 2 * 0.37
        everywhere = torch.stack([view[0].mean() for view in far(image)])
        assert everywhere.max() - everywhere.min() > 2 * 0.37


def test_what_comes_with_an_image_stays():
    drawn, caption = OfImage(views(ViewSettings(1, 8)))((gradient_image(), "a gradient"))
    assert caption == "a gradient"
    assert drawn[0].shape == (3, 8, 8)


def test_no_view_at_all():
    with pytest.raises(ValueError, match="a view"):
        views(ViewSettings(0))


@pytest.mark.parametrize("region", [(0.0, 0.5), (0.5, 0.2), (0.5, 1.5)])
def test_a_region_that_is_none(region: tuple[float, float]):
    with pytest.raises(ValueError, match="region"):
        RandomViews([ViewSettings()], (0.5,) * 3, (0.5,) * 3, region)
