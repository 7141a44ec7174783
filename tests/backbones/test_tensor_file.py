"""Tensors on disk: the same content is the same file, whatever the writer's hash order."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.backbones.tensor_file import write_tensors

METADATA = {"format": "pt", "encoder": "vitmini8", "höhe": 'a "quoted"\n\\line\x01', "z": "é"}
TENSORS = {
    "b": torch.arange(6.0).reshape(2, 3).T,
    "a": torch.tensor([1, 2**40]),
    "empty": torch.zeros(0, 3),
    "half": torch.ones(3, dtype=torch.float16),
}


def test_the_same_content_is_the_same_bytes(tmp_path: Path):
    written = {
        write_tensors(TENSORS, tmp_path / f"{i}.safetensors", METADATA).read_bytes()
        for i in range(20)  # the library has a new order of names each time
    }
    assert len(written) == 1


def test_two_backbones_of_equal_weights_are_the_same_bytes(tmp_path: Path):
    files = [
        save_backbone(load_encoder("vitmini8"), tmp_path / f"{i}.safetensors") for i in range(8)
    ]
    assert len({file.read_bytes() for file in files}) == 1


def test_tensors_that_share_memory_are_written_each(tmp_path: Path):
    whole = torch.arange(12.0)
    shared = {
        "whole": whole,
        "tied": whole,
        "first": whole[:8],
        "last": whole[4:],
        "odd": whole[1:2],
    }
    path = write_tensors(shared, tmp_path / "x.safetensors", {})
    with safe_open(path, framework="pt") as file:
        for name, value in shared.items():
            assert torch.equal(file.get_tensor(name), value)


def test_nothing_is_lost(tmp_path: Path):
    path = write_tensors(TENSORS, tmp_path / "x.safetensors", METADATA)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == METADATA
        assert set(file.keys()) == set(TENSORS)
        for name, value in TENSORS.items():
            assert torch.equal(file.get_tensor(name), value)
