"""Views that a device finishes are those that are finished at once."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import default_collate

from leopart_kit.data import AnchoredTransform, MultiCropTransform, PhotometricAugmentation
from leopart_kit.data.unfinished_views import (
    EndView,
    Look,
    UnfinishedView,
    finish_view,
    finish_views,
    leave_unfinished,
)
from leopart_kit.image_level.data import RandomViews, ViewSettings

ENDS = (finish_view, leave_unfinished)
shares = st.sampled_from([0.0, 0.5, 1.0])
augmentations = st.builds(
    PhotometricAugmentation,
    strength=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    jitter_probability=shares,
    grey_probability=shares,
    blur_probability=shares,
    blur_sigma=st.sampled_from([(0.1, 2.0), (0.01, 0.3), (1.5, 1.5), (0.1, 9.0)]),
)


def images(number: int, side: int = 40) -> list[Tensor]:
    generator = torch.Generator().manual_seed(number)
    return list(torch.randint(0, 256, (number, 3, side, side + 8), generator=generator).byte())


def batch(transform: Any, items: list[Any]) -> Any:
    torch.manual_seed(0)
    return finish_views(default_collate([transform(item) for item in items]))


@settings(deadline=None, max_examples=60)
@given(
    augmentations | st.none(), st.integers(0, 2**16), st.sampled_from([1, 2, 7, 24]), st.booleans()
)
def test_any_changes(
    photometric: PhotometricAugmentation | None, seed: int, side: int, solarise: bool
):
    look = Look(photometric, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(0, 256, (5, 3, side, side), generator=generator).byte()
    views[0] = views[0, :1]  # grey has no hue
    changes = [look.draw(generator)._replace(solarise=solarise) for _ in views]
    at_once, later = (
        default_collate([end(*one, look) for one in zip(views, changes, strict=True)])
        for end in ENDS
    )
    torch.testing.assert_close(finish_views(later), at_once, rtol=0, atol=3e-5)


@pytest.mark.parametrize("flip_probability", [0.0, 0.5])
def test_overlapping_views(flip_probability: float):
    made = [
        batch(MultiCropTransform(32, 16, flip_probability=flip_probability, end=end), images(6))
        for end in ENDS
    ]
    for found, expected in zip(*made, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=3e-5)


def test_independent_views():
    kinds = [
        ViewSettings(2, 24, jitter=0.5, grey_probability=0.2, blur_probability=1.0),
        ViewSettings(1, 24, jitter=0.5, blur_probability=0.1, solarise_probability=0.5),
        ViewSettings(3, 8, flip_probability=0.0),
    ]
    made = [
        batch(RandomViews(kinds, (0.5,) * 3, (0.2,) * 3, (0.5, 0.9), end), images(6))
        for end in ENDS
    ]
    torch.testing.assert_close(*made, rtol=0, atol=3e-5)


def test_what_lies_beside_views_stays_as_it_is():
    items = [(image, torch.full((2, 2, 3), float(i))) for i, image in enumerate(images(3))]
    made = [batch(AnchoredTransform(MultiCropTransform(32, 16, end=end)), items) for end in ENDS]
    assert type(made[0]) is type(made[1])
    torch.testing.assert_close(*made, rtol=0, atol=3e-5)
    given = {"a": [torch.ones(2), "text", None], "b": (1, 2.5)}
    assert finish_views(given)["a"][1:] == ["text", None]
    assert finish_views(given)["b"] == (1, 2.5)


def test_a_worker_sends_a_quarter_of_the_bytes():
    def size(end: EndView) -> int:
        return len(pickle.dumps(MultiCropTransform(end=end)(images(1, 300)[0])))

    torch.manual_seed(0)
    assert size(leave_unfinished) < 0.3 * size(finish_view)


def test_widths_do_not_depend_on_what_was_drawn():
    look = Look(PhotometricAugmentation(), (0.5,) * 3, (0.2,) * 3)
    view = torch.zeros(3, 16, 16, dtype=torch.uint8)
    made = [leave_unfinished(view, look.draw(), look) for _ in range(40)]
    assert {tuple(part.shape for part in one) for one in made} == {
        ((3, 16, 16), (8,), (13,), (2,), (2, 3))
    }
    plain = leave_unfinished(view, Look(None, (0.5,) * 3, (0.2,) * 3).draw(), Look(None, [0], [1]))
    assert isinstance(plain, UnfinishedView)
    assert (len(plain.jitter), len(plain.blur)) == (0, 1)
