"""Descriptions of code: whatever an encoder of the user's computes with is told."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from leopart_kit.identity import describe

SCALE = 1.0
TABLE = {"a": torch.ones(2)}
logger = logging.getLogger(__name__)


class Scaled:
    """What people write: an object with a model and numbers."""

    def __init__(self, factor: Any) -> None:
        self.factor = factor
        self.itself = self
        self.lock = threading.Lock()
        self.log = logger

    def __call__(self, x: Any) -> Any:
        return x * self.factor


class OddModule(nn.Module):
    """Numbers in lists, tensors that are no buffers, names with an underscore."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value


def by_global(x: Any) -> Any:
    logger.info("called")
    return helper(x) + [SCALE * one for one in x]


def helper(x: Any) -> Any:
    return x + TABLE["a"]


VALUES = [
    1,
    2,
    "1",
    None,
    torch.ones(2),
    torch.ones(3),
    np.ones(2),
    np.ones(2, np.float32),
    [1, 2],
    [2, 1],
    {"a": 1},
    {"a": 2},
    {1, 2},
    SimpleNamespace(a=1),
    SimpleNamespace(a=2),
    Path("/a"),
    torch.float16,
    nn.Linear(2, 2),
    lambda x: x,
    lambda x: x + 1,
    dict,
]


@pytest.mark.parametrize("make", [Scaled, OddModule, lambda value: lambda: value])
def test_other_contents_are_other_descriptions(make: Any):
    found = [describe(make(value)) for value in VALUES]
    assert len(set(found)) == len(VALUES)
    assert [describe(make(value)) for value in VALUES] == found


@pytest.mark.parametrize("change", [("SCALE", 2.0), ("TABLE", {"a": torch.zeros(2)})])
def test_what_a_function_takes_from_its_file_counts(
    monkeypatch: pytest.MonkeyPatch, change: tuple[str, Any]
):
    before = describe(by_global)
    assert describe(by_global) == before
    logging.getLogger("of somebody else")
    assert describe(by_global) == before, "the logging of the process is no part of it"
    monkeypatch.setitem(globals(), *change)
    assert describe(by_global) != before


def test_a_description_ends():
    first: dict[str, Any] = {}
    first["self"] = [first]
    assert describe(first) == describe(first)
