"""Networks that are trained from random weights: AlexNet, ResNets, small vision transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from leopart_kit.backbones import load_encoder, read_checkpoint
from leopart_kit.backbones.residual_network import ResidualNetwork

SMALL = ("alexnet", "resnet18_mini", "vitmini4")
TAPS = {
    "alexnet": ["conv1", "conv2", "conv3", "conv4", "conv5"],
    "resnet18_mini": ["stem", "layer1", "layer2", "layer3", "layer4"],
    "vitmini4": [f"block{index}" for index in range(1, 7)],
}


def images(height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_taps_are_in_order_and_the_last_one_is_the_tokens(name: str):
    encoder = load_encoder(name)
    features = encoder.layer_features(images())
    assert list(features) == TAPS[name]
    tokens = encoder.patch_tokens(images())
    torch.testing.assert_close(features[TAPS[name][-1]], tokens)
    assert all(len(value) == 2 and value.ndim == 4 for value in features.values())
    cls = encoder.cls_token(images())
    if not name.startswith("vit"):
        torch.testing.assert_close(cls, tokens.mean(dim=(2, 3)))


@torch.no_grad()
def test_a_block_of_a_transformer_is_what_the_block_option_gives():
    features = load_encoder("vitmini4", seed=1).layer_features(images())
    for block in (0, 3):
        chosen = load_encoder("vitmini4", seed=1, block=block)
        torch.testing.assert_close(features[f"block{block + 1}"], chosen.patch_tokens(images()))


@pytest.mark.parametrize("name", [*SMALL, "resnet18", "resnet18_cifar", "vitti4", "vitti16"])
@pytest.mark.parametrize("size", [(64, 96), (70, 65)])
@torch.no_grad()
def test_the_grid_covers_any_image(name: str, size: tuple[int, int]):
    encoder = load_encoder(name)
    grid = tuple(-(-side // encoder.patch_size) for side in size)
    assert encoder.patch_tokens(images(*size)).shape == (2, encoder.embed_dim, *grid)


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides_the_weights(name: str):
    first, same, other = (load_encoder(name, "random", seed=s) for s in (3, 3, 4))
    assert first.weights == "random"
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_saved_weights_load_under_the_same_name(name: str, tmp_path: Path):
    encoder = load_encoder(name, seed=5)
    for buffer in encoder.buffers():
        if buffer.is_floating_point():
            buffer.add_(0.1)  # running statistics count too
    path = tmp_path / "backbone.safetensors"
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, path)
    loaded = load_encoder(name, path)
    assert torch.equal(loaded.patch_tokens(images()), encoder.patch_tokens(images()))
    _, report = read_checkpoint(path)
    assert set(report.recognised) == set(encoder.state_dict())


@pytest.mark.parametrize(("depth", "reference"), [(18, "resnet18"), (50, "resnet50")])
@torch.no_grad()
def test_the_resnets_are_torchvision_s(depth: int, reference: str):
    theirs: Any = torchvision.models.get_model(reference).eval()
    own = ResidualNetwork(depth).eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    own.load_state_dict(state)
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images(64, 64)))))
    x = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    torch.testing.assert_close(own(images(64, 64)), x)
    assert (own.embed_dim, own.stride) == (x.shape[1], 32)


@pytest.mark.parametrize(("stem", "stride"), [("imagenet", 32), ("cifar", 8), ("small", 16)])
@torch.no_grad()
def test_stems(stem, stride: int):
    network = ResidualNetwork(18, width=2, stem=stem).eval()
    assert network.stride == stride
    assert network(images(64, 64)).shape == (2, 16, 64 // stride, 64 // stride)


def test_the_small_networks_are_small():
    for name in ("resnet18_mini", "vitmini4"):
        assert sum(p.numel() for p in load_encoder(name).parameters()) < 3e6


def test_weights_of_another_network_name_the_right_one(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    save_file(load_encoder("resnet18_mini").state_dict(), path)
    with pytest.raises(ValueError, match=r"256 channels, 8 blocks.*use encoder=resnet18_mini"):
        load_encoder("resnet18_cifar", path)
    with pytest.raises(ValueError, match="alexnet"):
        load_encoder("alexnet", path)


@pytest.mark.parametrize("name", ["alexnet", "resnet18_mini"])
def test_networks_without_blocks_or_attention(name: str):
    with pytest.raises(ValueError, match="has no option 'block'"):
        load_encoder(name, block=1)
    with pytest.raises(ValueError, match="has no option 'drop_path_rate'"):
        load_encoder(name, drop_path_rate=0.1)
    with pytest.raises(ValueError, match="CLS attention"):
        load_encoder(name).attention(images())
    with pytest.raises(ValueError, match="fp8"):
        load_encoder(name, precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["alexnet", "resnet18_mini"])
@torch.no_grad()
def test_bf16_tokens_are_float32_and_close(name: str):
    exact, coarse = (load_encoder(name, precision=p) for p in ("fp32", "bf16"))  # type: ignore[arg-type]
    tokens = coarse.patch_tokens(images())
    assert tokens.dtype == torch.float32
    expected = exact.patch_tokens(images())
    assert (tokens - expected).norm() < 0.05 * expected.norm()
