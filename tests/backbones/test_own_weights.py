"""Weights of a network of the user's: saved, taken again, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.module_weights import fill_module
from leopart_kit.backbones.saved_backbone import save_backbone

SOURCE = """
import torch
from torch import nn
from leopart_kit.backbones import Encoder, load_encoder

class Net(nn.Module):
    patch_size, embed_dim = 4, 6
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 4, 4)
        self.mix = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6)
        self.again.weight = self.mix.weight  # tied
        self.register_buffer("index", torch.arange(6))
    def forward(self, images):
        x = self.embed(images).flatten(2).mT
        return self.again(self.mix(x[..., self.index]))

class Own(Encoder):
    def __init__(self):
        super().__init__(name="own", embed_dim=6, patch_size=4)

def told(precision):
    return load_encoder("vitmini8", precision=precision)
"""


@pytest.fixture(autouse=True)
def beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_net.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)


def net(**options) -> Encoder:
    return load_encoder("custom", factory="own_net:Net", **options)


def test_what_is_saved_is_taken_again_under_the_users_own_names(tmp_path: Path):
    path = save_backbone(net(seed=1), tmp_path / "backbone.safetensors")
    assert set(load_file(path)) == {
        *("embed.weight", "embed.bias", "index"),
        *(f"{layer}.{name}" for layer in ("mix", "again") for name in ("weight", "bias")),
    }
    assert net(weights=path).fingerprint() == net(seed=1).fingerprint() != net().fingerprint()
    halved = save_backbone(net(seed=1), tmp_path / "half.safetensors", "fp16")
    exact, near = net(seed=1).saved_weights(), net(weights=halved).saved_weights()
    assert all(torch.allclose(value, exact[key], atol=1e-3) for key, value in near.items())


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Linear(4, 2))


DAMAGES = {
    "missing": lambda state, key: state.pop(key),
    "renamed": lambda state, key: state.update({f"{key}_old": state.pop(key)}),
    "longer": lambda state, key: state.update({key: torch.zeros(*state[key].shape, 2)}),
    "nan": lambda state, key: state.update({key: state[key] * torch.nan}),
    "infinite": lambda state, key: state.update({key: state[key] + torch.inf}),
    "whole": lambda state, key: state.update({key: state[key].long()}),
    "sparse": lambda state, key: state.update({key: state[key].to_sparse()}),
    "no tensor": lambda state, key: state.update({key: {"nested": state[key]}}),
}


@given(
    damage=st.sampled_from(sorted(DAMAGES)),
    key=st.sampled_from([k for k, v in module().state_dict().items() if v.ndim]),
)
def test_a_damaged_tensor_is_named_and_nothing_is_taken(damage: str, key: str):
    whole = module()
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    state: dict[str, Tensor] = {name: value + 1 for name, value in before.items()}
    DAMAGES[damage](state, key)
    with pytest.raises(ValueError, match=key.replace(".", r"\.")):
        fill_module(whole, state)
    assert all(torch.equal(value, before[name]) for name, value in whole.state_dict().items())


def test_weights_of_another_network_name_their_file(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    save_file({"layer.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=r"other\.safetensors: .* is missing"):
        net(weights=path)
    with pytest.raises(FileNotFoundError):
        net(weights=tmp_path / "none.safetensors")


def test_precision_is_that_of_the_function_or_of_autocast():
    images = torch.randn(1, 3, 8, 8)
    half, full = net(precision="bf16"), net()
    tokens = half.patch_tokens(images)
    assert tokens.dtype == torch.float32
    assert not torch.equal(tokens, full.patch_tokens(images))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokens, full.patch_tokens(images))
    assert half.fingerprint() != full.fingerprint()
    given = load_encoder("custom", factory="own_net:told", precision="bf16")
    assert given.settings["precision"] == "bf16"
    chosen = load_encoder(
        "custom", factory="own_net:told", precision="bf16", factory_options={"precision": "fp32"}
    )
    assert chosen.settings["precision"] == "fp32"
    with pytest.raises(ValueError, match="precision"):
        load_encoder("custom", factory="own_net:Own", precision="bf16")
