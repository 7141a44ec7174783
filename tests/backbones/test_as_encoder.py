"""A name, a network or a function is an encoder; what is none is told with what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, as_encoder, load_encoder

IMAGES = torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0)).byte()


class Patches(nn.Module):
    """A linear patch embedding that returns its tokens in one of many ways."""

    def __init__(self, patch: int, width: int, kind: str) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.kind = kind
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Any:
        grid = self.dropout(self.embed(images))
        if self.kind == "grid":
            return grid
        tokens = grid.flatten(2).transpose(1, 2)
        with_cls = torch.cat([tokens[:, :1], tokens], dim=1)
        return {
            "sequence": tokens,
            "dinov2": {"x_norm_clstoken": tokens[:, 0], "x_norm_patchtokens": tokens},
            "hugging_face": SimpleNamespace(last_hidden_state=with_cls),
        }[self.kind]


class Pooled(nn.Module):
    """A network whose `forward` is one vector an image, as of timm and DINOv2."""

    num_prefix_tokens = 1

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.patches = Patches(16, 5, kind)

    def forward_features(self, images: Tensor) -> Any:
        features = self.patches(images)
        plain = isinstance(features, Tensor) and features.ndim == 3
        return torch.cat([features[:, :1], features], dim=1) if plain else features

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


@pytest.mark.parametrize("kind", ["grid", "sequence", "dinov2", "hugging_face"])
@pytest.mark.parametrize(("patch", "width"), [(4, 3), (8, 14), (14, 14), (16, 6), (32, 7)])
def test_patch_size_and_width_are_found(patch: int, width: int, kind: str):
    network = Patches(patch, width, kind).train()
    encoder = as_encoder(network)
    assert (encoder.patch_size, encoder.embed_dim) == (patch, width)
    assert network.training
    assert network.dropout.training
    encoder.eval()
    images = encoder.preprocess(IMAGES[:, :, : 2 * patch, : 2 * patch])
    torch.testing.assert_close(encoder(images), network.embed(images))
    given = Encoder.from_module(network, patch, width)
    assert given.fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize("kind", ["grid", "sequence", "dinov2"])
def test_a_network_of_pooled_vectors_gives_its_features(kind: str):
    network = Pooled(kind).eval()
    encoder = as_encoder(network)
    images = encoder.preprocess(IMAGES)
    torch.testing.assert_close(encoder(images), network.patches.embed(images))
    assert any(weight is network.patches.embed.weight for weight in encoder.parameters())


def test_calling_an_encoder_gives_its_patch_tokens():
    encoder = as_encoder("handcrafted")
    images = encoder.preprocess(IMAGES)
    torch.testing.assert_close(encoder(IMAGES), encoder.patch_tokens(images))
    torch.testing.assert_close(encoder(images), encoder.patch_tokens(images))


def test_what_a_network_says_of_itself_is_believed():
    def tokens(images: Tensor) -> Tensor:
        raise AssertionError("need not run")

    tokens.patch_size, tokens.embed_dim = 7, 9
    tokens.mean, tokens.std = (0.5, 0.5, 0.5), [0.25, 0.25, 0.25]
    encoder = as_encoder(tokens)
    assert (encoder.patch_size, encoder.embed_dim) == (7, 9)
    assert (encoder.mean, encoder.std) == ((0.5,) * 3, (0.25,) * 3)


def test_a_transformer_of_timm_is_the_encoder_of_its_name():
    network: Any = timm.create_model("vit_tiny_patch16_224", num_classes=10).eval()
    encoder = as_encoder(network)
    assert encoder.mean == tuple(network.pretrained_cfg["mean"])
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = network.forward_features(images)[:, 1:]
        torch.testing.assert_close(encoder(images).flatten(2).transpose(1, 2), expected)
        assert encoder(torch.randn(1, 3, 64, 96)).shape == (1, 192, 4, 6)
        assert encoder.attention(images).shape == (1, 3, 14, 14)


def test_a_convolutional_network_of_timm_gives_its_last_grid():
    network = timm.create_model("resnet18", num_classes=0).eval()
    encoder = as_encoder(network)
    assert (encoder.patch_size, encoder.embed_dim) == (32, 512)


def test_built_encoders_and_names_pass():
    encoder = load_encoder("handcrafted")
    assert as_encoder(encoder) is encoder
    assert as_encoder("handcrafted").fingerprint() == encoder.fingerprint()


def fails(images: Tensor) -> Tensor:
    raise RuntimeError("mat1 and mat2\n shapes cannot be multiplied")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (torchvision.models.resnet18(), r"shape \[2, 1000\]"),
        (lambda images: images.mean(), r"shape \[\]"),
        (lambda images: images.permute(0, 2, 3, 1)[:, ::16, ::16], r"\[2, 14, 14, 3\]"),
        (nn.AvgPool2d(13), "17 x 17"),
        (lambda images: images[:, 0, :50], r"\[2, 50, 224\]"),
        (lambda images: [images], "list"),
        (fails, "cannot be multiplied"),
        (nn.Conv2d, "callable"),
        (None, "callable"),
        (3, "callable"),
        ("dino_vits15", "dino_vits1"),
    ],
)
def test_what_is_no_encoder_is_told_in_one_line(given: Any, named: str):
    with pytest.raises(ValueError, match=named) as problem:
        as_encoder(given)
    assert "\n" not in str(problem.value)


def test_one_of_the_two_sizes_alone_is_told():
    with pytest.raises(ValueError, match="embed_dim=None"):
        Encoder.from_module(nn.AvgPool2d(4), patch_size=4)


def test_a_file_of_weights_alone_is_told(tmp_path):
    file = tmp_path / "weights.pth"
    file.write_bytes(b"")
    with pytest.raises(ValueError, match="load_encoder"):
        as_encoder(file)


def test_a_network_of_one_size_says_so():
    class OneSize(Patches):
        def forward(self, images: Tensor) -> Any:
            assert images.shape[2:] == (224, 224), "Input height doesn't match model"
            return super().forward(images)

    encoder = as_encoder(OneSize(16, 3, "grid"))
    with pytest.raises(ValueError, match="dynamic_img_size"):
        encoder(encoder.preprocess(IMAGES))
