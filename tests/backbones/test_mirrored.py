"""Outputs averaged with those of the mirrored image, on an encoder that is not symmetric."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.mirrored import MirroredEncoder

PATCH = 4


class LeftPixel(nn.Module):
    """The first pixel of each patch: its token changes when the image is mirrored."""

    def forward(self, images: Tensor) -> Tensor:
        return images[..., ::PATCH, ::PATCH]


def left_pixel() -> Encoder:
    return Encoder.from_module(LeftPixel(), PATCH, 3, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_patch_is_the_mean_of_its_first_and_last_pixel_by_hand():
    images = torch.arange(8.0).expand(1, 3, 4, 8).clone()  # columns 0 to 7: patches 0-3 and 4-7
    tokens = MirroredEncoder(left_pixel()).patch_tokens(images)
    assert tokens[0, 0].tolist() == [[1.5, 5.5]]


def test_the_padding_stays_on_the_right_of_the_mirrored_image():
    # 6 columns: the second patch covers 4, 5 and two of padding, the last of which is 0.
    images = torch.arange(1.0, 7.0).expand(1, 3, 4, 6).clone()
    tokens = MirroredEncoder(left_pixel()).patch_tokens(images)
    assert tokens[0, 0].tolist() == [[(1 + 4) / 2, (5 + 0) / 2]]


def test_mirrored_images_have_mirrored_tokens_and_attention():
    encoder = MirroredEncoder(load_encoder("dino_vits16", weights="random").eval())
    images = encoder.preprocess(torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8))
    with torch.no_grad():
        for look in (encoder.patch_tokens, encoder.attention):
            torch.testing.assert_close(look(images.flip(-1)), look(images).flip(-1))
        torch.testing.assert_close(encoder.cls_token(images.flip(-1)), encoder.cls_token(images))
        plain = encoder.encoder.patch_tokens(images)
        assert not torch.allclose(plain, encoder.patch_tokens(images)), "the test sees no mirror"


def test_it_is_another_encoder_of_the_same_name():
    plain = left_pixel()
    mirrored = MirroredEncoder(plain)
    assert (mirrored.name, mirrored.weights) == (plain.name, plain.weights)
    assert mirrored.fingerprint() != plain.fingerprint()
    assert mirrored.fingerprint() == MirroredEncoder(left_pixel()).fingerprint()
    image = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    torch.testing.assert_close(mirrored.preprocess(image), torch.ones(1, 3, 4, 4))


def test_without_attention_it_has_none_either():
    with pytest.raises(ValueError, match="CLS attention"):
        MirroredEncoder(left_pixel()).attention(torch.zeros(1, 3, 8, 8))
