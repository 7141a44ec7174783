"""The demo's encoders, whose weights are part of the package."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from leopart_kit.backbones import load, load_encoder
from leopart_kit.backbones.weights import shipped_weights
from leopart_kit.backbones.zoo import ZOO

SHIPPED = sorted(spec.name for spec in ZOO.values() if spec.shipped)


def test_the_demo_has_both_of_its_stages():
    assert SHIPPED == ["demo_dino", "demo_leopart"]


@pytest.mark.parametrize("name", SHIPPED)
@torch.no_grad()
def test_auto_means_the_file_in_the_package(name: str):
    path, source = shipped_weights(ZOO[name].shipped)
    encoder = load_encoder(name)
    assert encoder.weights == source == f"shipped: {name}.safetensors"
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tokens = encoder.patch_tokens(images)
    torch.testing.assert_close(tokens, load_encoder("vitmini8", path).patch_tokens(images))
    untrained = load_encoder(name, "random")
    assert untrained.weights == "random"
    assert not torch.allclose(tokens, untrained.patch_tokens(images), atol=0.1)


@pytest.mark.parametrize("name", SHIPPED)
def test_files_are_small_and_of_half_precision(name: str):
    path, _ = shipped_weights(ZOO[name].shipped)
    assert path.stat().st_size < 4e6
    state = load_file(path)
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert 1e6 < sum(value.numel() for value in state.values()) < 2e6


def test_leopart_went_on_from_dino():
    """313 steps of training move weights, but nothing like two networks of two seeds."""
    dino, leopart = (load_file(shipped_weights(ZOO[name].shipped)[0]) for name in SHIPPED)
    key = "blocks.0.mlp.fc1.weight"
    distance = (dino[key].float() - leopart[key].float()).norm() / dino[key].float().norm()
    assert 0 < distance < 1


def test_an_installation_without_the_file(monkeypatch: pytest.MonkeyPatch):
    spec = dataclasses.replace(ZOO["demo_dino"], shipped="gone.safetensors")
    monkeypatch.setattr(load, "ZOO", {**ZOO, "demo_dino": spec})
    with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
        load_encoder("demo_dino")
    assert Path(load.__file__).parent.joinpath("shipped").is_dir()
