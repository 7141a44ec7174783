"""Encoders saved as folders load again as they were; what is no such folder is told."""

from __future__ import annotations

import importlib.util
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from leopart_kit import Encoder, as_encoder, list_encoders, load_encoder
from leopart_kit.backbones.mirrored import MirroredEncoder

SAVED = [
    ("vitmini8", {}),
    ("vitmini8", {"block": 2, "facet": "key"}),
    ("dinov2_vits14", {"weights": "random", "seed": 3}),
    ("vit_tiny_patch16_224.augreg_in21k", {"weights": "random"}),
    ("vitmini8", {"precision": "bf16"}),
    ("demo_leopart", {}),
    ("random_resnet50_dilated", {"patch_size": 8}),
    ("resnet18_mini", {"weights": "random"}),
    ("handcrafted", {"patch_size": 4}),
]


@pytest.mark.parametrize(("name", "options"), SAVED, ids=lambda value: str(value))
def test_a_saved_encoder_is_the_same(tmp_path: Path, name: str, options: dict[str, Any]):
    encoder = load_encoder(name, **options)
    encoder.save_pretrained(tmp_path)
    again = Encoder.from_pretrained(tmp_path)
    assert again.fingerprint() == encoder.fingerprint()
    assert as_encoder(str(tmp_path)).fingerprint() == encoder.fingerprint()
    if name == "vitmini8" and "precision" not in options:
        images = torch.randint(0, 256, (1, 3, 24, 40), dtype=torch.uint8)
        torch.testing.assert_close(again(images), encoder(images))
    files = {path.name for path in tmp_path.iterdir()}
    assert files <= {"config.json", "model.safetensors", "README.md"}
    assert "leopart-kit" in (tmp_path / "README.md").read_text()


def test_a_network_of_timm_is_saved_by_its_name(tmp_path: Path):
    encoder = as_encoder(timm.create_model("vit_tiny_patch16_224", num_classes=5))
    encoder.save_pretrained(tmp_path)
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(Encoder.from_pretrained(tmp_path)(images), encoder.eval()(images))


def test_what_needs_code_of_its_own_is_not_saved(tmp_path: Path):
    custom = Encoder.from_module(nn.AvgPool2d(4), 4, 3)
    own = Encoder(name="mine", embed_dim=3, patch_size=4)
    for encoder in (custom, own, MirroredEncoder(load_encoder("vitmini8"))):
        with pytest.raises(ValueError, match="cannot be saved"):
            encoder.save_pretrained(tmp_path / "saved")
        assert not list((tmp_path / "saved").iterdir())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    load_encoder("vitmini8").save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "custom"},
        {"name": "dino_vits16"},
        {"name": "nothing_known"},
        {"factory": "os:system"},
        {"factory_options": {"command": "true"}},
        {"weights": "other.pth"},
        {"block": 99},
    ],
    ids=str,
)
def test_a_config_of_something_else_is_refused(saved: Path, change: dict[str, Any]):
    file = saved / "config.json"
    content = json.loads(file.read_text())
    content["encoder"] |= change
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"\S") as problem:
        Encoder.from_pretrained(saved)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"encoder": 3}', '{"encoder": {}}'])
def test_a_damaged_config_is_named(saved: Path, text: str):
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json"):
        Encoder.from_pretrained(saved)


def test_missing_and_damaged_files_are_named(saved: Path, monkeypatch: pytest.MonkeyPatch):
    weights = saved / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        Encoder.from_pretrained(saved)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        Encoder.from_pretrained(saved)
    (saved / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        Encoder.from_pretrained(saved)
    for source in (saved / "nowhere", "nobody/nothing"):
        with pytest.raises(FileNotFoundError, match=r"config\.json"):
            Encoder.from_pretrained(source, local_files_only=True)


def test_torch_hub_knows_every_encoder():
    here = str(Path(__file__).parents[2])
    entries = runpy.run_path(f"{here}/hubconf.py")
    assert {*list_encoders(), "encoder"} <= set(entries)
    assert all(importlib.util.find_spec(name) for name in entries["dependencies"])
    found = torch.hub.load(here, "demo_leopart", source="local")
    assert found.fingerprint() == load_encoder("demo_leopart").fingerprint()  # type: ignore[union-attr]
    made = torch.hub.load(here, "encoder", "handcrafted", source="local", patch_size=4)
    assert made.patch_size == 4  # type: ignore[union-attr]
