"""Heads on disk: read back, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from leopart_kit.evaluation.segmentation_heads import (
    FcnHead,
    LinearHead,
    load_head,
    save_head,
)

NAMES = ("a", "b", "c")
HEADS = {"linear": LinearHead(4, 3), "fcn": FcnHead(4, 3, channels=5, input_size=(6, 6))}


@pytest.mark.parametrize("kind", ["linear", "fcn"])
def test_a_changed_head_is_refused(tmp_path: Path, kind):
    path = save_head(HEADS[kind], tmp_path / "head.safetensors", NAMES)
    state = load_file(path)
    said = {"kind": kind, "class_names": list(NAMES), "input_size": [6, 6]}
    for key, value in state.items():
        changes = (
            value.to(torch.int8),
            value * float("nan"),
            value.sum(),
            value[None].clone(),
            torch.cat([value, value[:1]]),
            value[:1].clone(),
        )
        for changed in changes:
            save_file({**state, key: changed}, path, {"head": json.dumps(said)})
            with pytest.raises(ValueError, match=str(path)):
                load_head(path, kind, 4, NAMES)
        save_file({k: v for k, v in state.items() if k != key}, path, {"head": json.dumps(said)})
        with pytest.raises(ValueError, match=str(path)):
            load_head(path, kind, 4, NAMES)
    for name in said:
        for other in (3, None, "x", [], [1], {"a": 1}, [0, 6], [1.5, 2.5], [["a"]]):
            if name == "input_size" and (kind == "linear" or other is None):
                continue
            save_file(state, path, {"head": json.dumps({**said, name: other})})
            with pytest.raises(ValueError, match=str(path)):
                load_head(path, kind, 4, NAMES)
    for text in ("3", "[]", "{", ""):
        save_file(state, path, {"head": text})
        with pytest.raises(ValueError, match=str(path)):
            load_head(path, kind, 4, NAMES)
    save_file(state, path, {"head": json.dumps(said)})
    again = load_head(path, kind, 4, NAMES).state_dict()
    assert all(torch.equal(again[key], value) for key, value in state.items())
