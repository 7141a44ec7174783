"""A classifier's head on disk: what it holds, and what is no such head."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from leopart_kit.backbones import load_encoder
from leopart_kit.image_level.networks.image_classifier import (
    ImageClassifier,
    load_classifier,
    save_classifier,
)

KEYS = ("norm.running_mean", "norm.running_var", "linear.weight", "linear.bias")


def changes(value: torch.Tensor) -> dict[str, torch.Tensor]:
    """Tensors that cannot stand for this one."""
    return {
        "whole numbers": value.to(torch.int8),
        "not a number": torch.full_like(value, float("nan")),
        "a number": value.sum(),
        "one of each": value.reshape(-1)[:1].clone(),
        "one more": torch.cat([value, value[:1]]),
        "one more dimension": value[None].clone(),
    }


def test_a_head_comes_back_or_is_refused(tmp_path: Path):
    backbone = load_encoder("resnet18_mini")
    _, head = save_classifier(ImageClassifier(backbone, 3), tmp_path, ("a", "b", "c"))
    state = load_file(head)
    again = load_classifier(backbone, head).state_dict()
    for key in KEYS:
        assert torch.equal(again[key], state[key])
        for value in changes(state[key]).values():
            save_file({**state, key: value}, head)
            with pytest.raises(ValueError, match=str(head)):
                load_classifier(backbone, head)
        save_file({k: v for k, v in state.items() if k != key}, head)
        with pytest.raises(ValueError, match=str(head)):
            load_classifier(backbone, head)
