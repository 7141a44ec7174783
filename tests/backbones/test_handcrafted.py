"""Colour and orientation statistics on images whose values are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from leopart_kit.backbones import load_encoder

# per window: Lab mean 0-2, deviation 3-5, magnitude 6, orientation histogram 7-14
HISTOGRAM = slice(7, 15)


def tokens_of(image: Tensor, patch_size: int = 8) -> Tensor:
    encoder = load_encoder("handcrafted", patch_size=patch_size)
    return encoder.patch_tokens(encoder.preprocess(image[None]))[0]


def test_flat_colour_has_its_lab_value_and_no_edges():
    """sRGB red is Lab (53.24, 80.09, 67.20)."""
    image = torch.zeros(3, 24, 24, dtype=torch.uint8)
    image[0] = 255
    token = tokens_of(image)[:, 1, 1]
    torch.testing.assert_close(token[:3], torch.tensor([0.5324, 0.8009, 0.6720]), rtol=0, atol=5e-3)
    torch.testing.assert_close(token[3:15], torch.zeros(12), rtol=0, atol=2e-3)
    torch.testing.assert_close(token[:3], token[15:18])


@pytest.mark.parametrize(
    ("direction", "strongest"), [((0, 1), 0), ((1, 0), 4), ((1, 1), 2), ((1, -1), 6)]
)
def test_orientation_of_a_ramp_falls_into_its_bin(direction, strongest):
    """Bins are 22.5 degrees wide, from the x axis; opposite directions share one."""
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    ramp = 128 + 4.0 * (direction[0] * (rows - 12) + direction[1] * (columns - 12)) / math.hypot(
        *direction
    )
    image = ramp.round().to(torch.uint8).expand(3, -1, -1).contiguous()
    histogram = tokens_of(image)[HISTOGRAM, 1, 1]
    assert int(histogram.argmax()) == strongest
    assert histogram[strongest] > 0.6
    opposite = tokens_of(255 - image)[HISTOGRAM, 1, 1]
    torch.testing.assert_close(opposite, histogram, rtol=0, atol=0.06)


def test_a_token_sees_its_patch_and_its_neighbours_only():
    image = torch.full((3, 56, 56), 90, dtype=torch.uint8)
    changed = image.clone()
    changed[:, 24:32, 24:32] = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    differs = (tokens_of(image) != tokens_of(changed)).any(dim=0)
    # its own patch, the neighbours' windows, and one pixel of gradient beyond them
    assert differs[2:5, 2:5].all()
    assert not differs[0].any()
    assert not differs[:, 6].any()


def test_padding_adds_no_edge():
    """A flat image of odd size has flat tokens at the border too."""
    tokens = tokens_of(torch.full((3, 21, 27), 200, dtype=torch.uint8))
    assert tokens.shape == (30, 3, 4)
    torch.testing.assert_close(tokens, tokens[:, :1, :1].expand_as(tokens), rtol=0, atol=2e-3)


def test_batch_equals_single_images():
    encoder = load_encoder("handcrafted", patch_size=16)
    images = encoder.preprocess(torch.randint(0, 256, (3, 3, 40, 50), dtype=torch.uint8))
    single = torch.cat([encoder.patch_tokens(image[None]) for image in images])
    torch.testing.assert_close(encoder.patch_tokens(images), single)
