"""What every encoder promises, whatever is behind it."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.encoder import pad_to_grid
from leopart_kit.backbones.mirrored import MirroredEncoder
from tests.image_level.tiny_networks import tiny_resnet
from tests.methods.tiny_clusterer import tiny_vit


def mean_colour(images: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(images, 4)


def test_any_callable_becomes_an_encoder():
    encoder = Encoder.from_module(mean_colour, 4, 3, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    image = torch.zeros(1, 3, 8, 12, dtype=torch.uint8)
    image[0, 1, 4:8, 8:12] = 255
    tokens = encoder.patch_tokens(encoder.preprocess(image))
    expected = torch.zeros(1, 3, 2, 3)
    expected[0, 1, 1, 2] = 1.0
    torch.testing.assert_close(tokens, expected)
    torch.testing.assert_close(
        encoder.cls_token(encoder.preprocess(image)), torch.tensor([[0.0, 1 / 6, 0.0]])
    )


def test_a_sequence_of_tokens_is_laid_out_row_by_row():
    def sequence(images: Tensor) -> Tensor:
        return mean_colour(images).flatten(2).transpose(1, 2)

    images = torch.randn(2, 3, 8, 20)
    tokens = Encoder.from_module(sequence, 4, 3).patch_tokens(images)
    torch.testing.assert_close(tokens, mean_colour(images))


@settings(deadline=None, max_examples=25)
@given(height=st.integers(8, 40), width=st.integers(8, 40))
def test_the_grid_covers_the_image(height, width):
    images = torch.randn(1, 3, height, width)
    custom = Encoder.from_module(nn.AvgPool2d(8), 8, 3)
    for encoder in (custom, load_encoder("handcrafted")):
        shape = encoder.patch_tokens(images).shape
        rows, columns = math.ceil(height / 8), math.ceil(width / 8)
        assert shape == (1, encoder.embed_dim, rows, columns)


def test_padding_is_zero_right_and_below():
    padded = pad_to_grid(torch.ones(1, 3, 5, 7), 4)
    assert padded.shape == (1, 3, 8, 8)
    assert padded.sum() == 3 * 5 * 7
    assert padded[:, :, :5, :7].min() == 1


def test_preprocess_normalises_each_channel():
    encoder = Encoder.from_module(mean_colour, 4, 3, (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([1.0, -1.0, 0.1]).view(1, 3, 1, 1)
    torch.testing.assert_close(encoder.preprocess(pixel), expected)


class Brightest(Encoder):
    """A network of one's own that says more of an image than the mean of its patches."""

    def patch_tokens(self, images: Tensor) -> Tensor:
        return mean_colour(images)

    def cls_token(self, images: Tensor) -> Tensor:
        return mean_colour(images).amax(dim=(2, 3))


@pytest.mark.parametrize(
    "make",
    [
        tiny_vit,
        lambda: tiny_vit(class_token=False),
        tiny_resnet,
        lambda: MirroredEncoder(tiny_vit()),
        lambda: Encoder.from_module(mean_colour, 4, 3),
        lambda: load_encoder("handcrafted"),
        lambda: Brightest(name="brightest", embed_dim=3, patch_size=4),
    ],
)
def test_the_vector_of_an_image_comes_with_its_patches(make):
    encoder, images = make(), torch.randn(2, 3, 32, 40)
    cls, patches = encoder.cls_and_patches(images)
    torch.testing.assert_close(cls, encoder.cls_token(images))
    torch.testing.assert_close(patches, encoder.patch_tokens(images))


def test_attention_of_a_callable_is_an_error():
    encoder = Encoder.from_module(mean_colour, 4, 3)
    with pytest.raises(ValueError, match="CLS attention"):
        encoder.attention(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="CLS attention"):
        encoder.tokens_and_attention(torch.zeros(1, 3, 8, 8))


def test_weights_of_a_module_are_trained_and_hashed():
    encoder = Encoder.from_module(nn.Conv2d(3, 6, 4, stride=4), 4, 6)
    encoder.patch_tokens(torch.randn(1, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    before = encoder.fingerprint()
    assert before == encoder.fingerprint()
    with torch.no_grad():
        next(encoder.parameters()).view(-1)[0] += 1e-3
    assert encoder.fingerprint() != before


def test_fingerprint_depends_on_everything_that_changes_the_output():
    variants = [
        Encoder.from_module(mean_colour, 4, 3),
        Encoder.from_module(mean_colour, 4, 3, std=(1.0, 1.0, 1.0)),
        Encoder.from_module(lambda x: mean_colour(x) * 2, 4, 3),
        load_encoder("handcrafted"),
        load_encoder("handcrafted", patch_size=16),
    ]
    prints = [encoder.fingerprint() for encoder in variants]
    assert len(set(prints)) == len(prints)
    assert all(len(digest) == 64 for digest in prints)
    assert load_encoder("handcrafted").fingerprint() == prints[3]


def test_fingerprint_sees_what_a_function_captured():
    def scaled(factor):
        return lambda x: mean_colour(x) * factor

    prints = [
        Encoder.from_module(fn, 4, 3).fingerprint()
        for fn in (
            scaled(1),
            scaled(2),
            scaled(torch.ones(1)),
            scaled(torch.zeros(1)),
            functools.partial(nn.functional.avg_pool2d, kernel_size=4),
            functools.partial(nn.functional.avg_pool2d, kernel_size=(4, 4)),
            nn.AvgPool2d(4),
            nn.AvgPool2d(4, count_include_pad=False),
        )
    ]
    assert len(set(prints)) == len(prints)
    assert Encoder.from_module(scaled(2), 4, 3).fingerprint() == prints[1]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "use encoder.preprocess"),
        (torch.zeros(3, 8, 8), "float images"),
        (torch.zeros(1, 1, 8, 8), "float images"),
        (torch.zeros(1, 3, 3, 8), "one patch"),
    ],
)
def test_input_that_is_no_image_batch(images, message):
    encoder = Encoder.from_module(mean_colour, 4, 3)
    with pytest.raises(ValueError, match=message):
        encoder.patch_tokens(images)


def test_preprocess_takes_bytes_only():
    with pytest.raises(ValueError, match="takes uint8 images"):
        load_encoder("handcrafted").preprocess(torch.zeros(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("not callable", 4, 3), "needs a callable"),
        ((mean_colour, 0, 3), "must be positive"),
        ((mean_colour, (4, 4), 3), "must be positive"),
        ((mean_colour, 4, "3"), "must be positive"),
        ((mean_colour, 4, 3, (0.5, 0.5)), "three values each"),
        ((mean_colour, 4, 3, (0.5,) * 3, (0.0, 1.0, 1.0)), "must be above 0"),
    ],
)
def test_arguments_that_make_no_encoder(arguments, message):
    with pytest.raises(ValueError, match=message):
        Encoder.from_module(*arguments)
