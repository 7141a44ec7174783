from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from leopart_kit.clustering.foreground import attention_foreground, foreground_confidence


def mask_to_attention(mask: torch.Tensor) -> torch.Tensor:
    return mask.float()[None, None]


@pytest.mark.parametrize("percent", [50, 60, 65])
def test_equals_the_released_code(golden, percent):
    arrays = golden("attention_foreground")
    height, width = arrays["grid"]
    attention = torch.from_numpy(arrays["attention"]).unflatten(-1, (int(height), int(width)))
    expected = torch.from_numpy(arrays[f"mask_{percent}"]).bool()
    sigma = float(arrays["blur_sigma"])
    assert torch.equal(attention_foreground(attention, percent / 100, sigma), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # as in a training step
        assert torch.equal(attention_foreground(attention, percent / 100, sigma), expected)


def test_keeps_the_strongest_patches_that_hold_the_mass():
    attention = torch.tensor([[4.0, 3.0, 2.0, 1.0]])[None, None]
    masks = {mass: attention_foreground(attention, mass, 0)[0, 0].tolist() for mass in (0.6, 0.95)}
    # 4 and 3 hold 0.7, a component of two patches; 0.95 needs all four.
    assert masks == {0.6: [False] * 4, 0.95: [True] * 4}


def test_heads_are_averaged():
    a, b = torch.zeros(2, 1, 4, 4)
    a[:, :2], b[:, 2:] = 1.0, 3.0
    mask = attention_foreground(torch.stack([a, b], dim=1), mass=0.7, blur_sigma=0)
    assert mask[0].tolist() == [[False] * 4] * 2 + [[True] * 4] * 2


@given(st.integers(0, 10_000), st.floats(0.05, 0.6))
def test_components_of_one_or_two_patches_are_dropped(seed, density):
    mask = np.random.default_rng(seed).random((9, 11)) < density
    labels = np.zeros(mask.shape, dtype=np.int64)
    ndimage.label(mask, np.ones((3, 3)), output=labels)
    expected = mask & (np.bincount(labels.ravel()) >= 3)[labels]
    kept = attention_foreground(mask_to_attention(torch.from_numpy(mask)), mass=1, blur_sigma=0)
    assert np.array_equal(kept[0].numpy(), expected)


@pytest.mark.parametrize("grid", [(1, 1), (1, 5), (2, 2), (3, 3), (3, 8)])
def test_grids_smaller_than_the_kernel(grid):
    attention = torch.ones(2, 3, *grid)
    mask = attention_foreground(attention, mass=1)
    assert mask.shape == (2, *grid)
    assert bool(mask.all()) == (grid[0] * grid[1] >= 3)


def test_no_attention_gives_an_empty_mask():
    assert not attention_foreground(torch.zeros(1, 2, 6, 6)).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": torch.rand(2, 3, 196)}, r"\[images, heads, h, w\].*\[2, 3, 196\]"),
        ({"attention": torch.rand(2, 3, 4, 4), "mass": 0.0}, "mass"),
        ({"attention": torch.rand(2, 3, 4, 4), "blur_sigma": -1.0}, "got 0.6 and -1.0"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        attention_foreground(**arguments)


def test_confidence_by_hand():
    attention = torch.tensor([[[[0.4, 0.4], [0.1, 0.1]], [[0.2, 0.2], [0.1, 0.1]]]])
    mask = torch.tensor([[[True, True], [False, False]]])
    # Mean over heads: 0.3 inside, 0.1 outside.
    assert foreground_confidence(attention, mask).tolist() == pytest.approx([0.5])


def test_confidence_of_clear_and_of_missing_foregrounds():
    mask = torch.tensor([[[True, False]]])
    clear = torch.tensor([[[[0.7, 0.0]]]])
    even = torch.tensor([[[[0.5, 0.5]]]])
    assert foreground_confidence(clear, mask).tolist() == [1]
    assert foreground_confidence(even, mask).tolist() == [0]
    assert foreground_confidence(even, ~mask & mask).tolist() == [0]
    assert foreground_confidence(even, mask | ~mask).tolist() == [0]
    assert foreground_confidence(0 * even, mask).tolist() == [0]


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_confidence_is_a_share_and_ignores_the_scale(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    attention = torch.rand(3, 2, 6, 6, generator=generator) ** 3
    mask = torch.rand(3, 6, 6, generator=generator) < 0.3
    confidence = foreground_confidence(attention, mask)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    torch.testing.assert_close(foreground_confidence(scale * attention, mask), confidence)


def test_a_clear_object_is_more_certain_than_noise():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 6, 14, 14, generator=generator)
    thing = noise.clone()
    thing[..., 4:9, 5:10] += 5
    attention = torch.cat([noise, thing])
    confidence = foreground_confidence(attention, attention_foreground(attention))
    assert confidence[0] < 0.3 < 0.7 < confidence[1]


def test_bad_confidence_input():
    with pytest.raises(ValueError, match=r"got shapes \[1, 2, 4, 4\] and \[1, 4, 5\]"):
        foreground_confidence(torch.rand(1, 2, 4, 4), torch.zeros(1, 4, 5).bool())
