"""Checkpoints whose content somebody changed: refused in one line, whatever was changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from leopart_kit.training.checkpoint import list_checkpoints, read_checkpoint_file
from tests.training.tiny_training import TinyMethod, run_tiny

Place = tuple[Any, ...]

# Parts that a run may change: they are compared with its own, and told or refused elsewhere.
_SETTINGS = ("identity", "encoder", "version", "format")
REPLACEMENTS: dict[str, Any] = {
    "nothing": None,
    "a text": "x",
    "a number": -3,
    "not a number": float("nan"),
    "a list": [None],
    "a dictionary": {"x": None},
    "a tensor": torch.zeros(2, 1, 3),
    "whole numbers": torch.zeros(2, dtype=torch.int8),
    "a tensor without numbers": torch.zeros(2, device="meta"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    run_tiny(folder)
    path = list_checkpoints(folder / "checkpoints")[-1]
    return path, read_checkpoint_file(path)


def places(value: Any, start: Place = ()) -> Iterator[Place]:
    """Where something stands in nested dictionaries and lists; random states are one thing."""
    if start:
        yield start
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list) and start[-1] != "params":
        inside = list(enumerate(value))
    else:
        inside = []
    for key, item in inside:
        if not start and key in _SETTINGS:
            continue
        yield from places(item, (*start, key))


def changed(content: dict[str, Any], place: Place, value: Any, delete: bool) -> dict[str, Any]:
    """A copy with another value at this place, or none."""
    new = copy.deepcopy(content)
    holder: Any = new
    for key in place[:-1]:
        holder = holder[key]
    if delete:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return new


def refusal(path: Path, content: dict[str, Any]) -> str | None:
    """Why a run does not go on from this content; ``None`` where it does."""
    torch.save(content, path)
    message = None
    try:
        run_tiny(path.parents[1], method=TinyMethod())
    except ValueError as error:
        message = str(error)
    assert message is None or (path.name in message and "\n" not in message)
    return message


def is_like(value: Any, other: Any) -> bool:
    """Whether one may stand for the other: numbers, and floating point of one shape."""
    if isinstance(value, Tensor) and isinstance(other, Tensor):
        return value.shape == other.shape and value.dtype == other.dtype
    return type(value) in (int, float) and type(other) in (int, float) and other == other


def test_whatever_is_changed_or_missing_is_refused(saved: tuple[Path, dict[str, Any]]):
    path, content = saved
    where = list(places(content))
    assert {place[0] for place in where} == {"step", "state_dict", "optimizer", "processes"}
    assert len(where) > 40
    for index, place in enumerate(where):
        at: Any = content
        for key in place:
            at = at[key]
        # Each place meets some of the replacements, all of them in a few places.
        for number, (kind, value) in enumerate(REPLACEMENTS.items()):
            if (index + number) % 5 or is_like(at, value):
                continue
            assert refusal(path, changed(content, place, value, delete=False)), (place, kind)
        of_one_parameter = place[:2] == ("optimizer", "state") and len(place) == 3
        if at is not None and not of_one_parameter:  # which may have had no gradient yet
            assert refusal(path, changed(content, place, None, delete=True)), place
    for part in ("state", "param_groups"):
        assert refusal(path, changed(content, ("optimizer", part), {}, delete=False))
        assert refusal(path, changed(content, ("optimizer", part), [], delete=False))
    assert refusal(path, content) is None


def test_other_kinds_of_files_are_refused(saved: tuple[Path, dict[str, Any]]):
    path, content = saved
    for other in (content["state_dict"], [content], 3, {}, {**content, "version": torch.ones(3)}):
        assert refusal(path, other)  # type: ignore[arg-type]
    whole = path.read_bytes()
    for damaged in (b"", b"x", whole[: len(whole) // 2], b"PK\x03\x04" + bytes(99), whole[::-1]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=path.name):
            run_tiny(path.parents[1])
