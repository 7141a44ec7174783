"""Content that a checkpoint of the loop must have; a damaged one is refused before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from leopart_kit.backbones.weight_tensors import storage_fault
from leopart_kit.identity import Identity

# Part → its type; parts inside one another joined by a slash.
_PARTS = {
    "step": int,
    "state_dict": dict,
    "optimizer": dict,
    "optimizer/state": dict,
    "optimizer/param_groups": list,
    "processes": list,
    "identity": dict,
}
_OF_A_PROCESS = {"random": dict, "state_dict": dict, "broken": list}


def damaged(path: Path, problem: str) -> ValueError:
    """The error of a checkpoint whose content cannot be used."""
    return ValueError(
        f"{path} is damaged: {' '.join(problem.split())}; delete it to continue from the one "
        "before, or choose another output_dir"
    )


@contextmanager
def refused_as_damaged(path: Path) -> Iterator[None]:
    """Turns whatever a method, an optimiser or a generator raises for its saved state into that."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise damaged(path, str(error)) from error


def check_parts(path: Path, content: Mapping[str, Any]) -> None:
    """Raise ValueError unless all that processes need is there and of its type."""
    for where, kind in _PARTS.items():
        _check_type(path, where, _inside(content, where), kind)
    if content["step"] < 0:
        raise damaged(path, f"step is {content['step']}")
    for index, group in enumerate(content["optimizer"]["param_groups"]):
        where = f"optimizer/param_groups/{index}"
        _check_type(path, where, group, dict)
        _check_type(path, f"{where}/name", group.get("name"), str)
        _check_type(path, f"{where}/params", group.get("params"), list)
    if not content["processes"]:
        raise damaged(path, "it has the state of no process")
    for rank, process in enumerate(content["processes"]):
        where = f"processes/{rank}"
        _check_type(path, where, process, dict)
        for name, kind in _OF_A_PROCESS.items():
            _check_type(path, f"{where}/{name}", process.get(name), kind)
        for message in process["broken"]:
            _check_type(path, f"{where}/broken", message, str)


def saved_identity(path: Path, content: Mapping[str, Any]) -> Identity:
    """Identity of the run of a checkpoint; raises ValueError where it is not there."""
    _check_type(path, "identity", content.get("identity"), dict)
    return Identity(content["identity"])


def check_moments(path: Path, saved: Mapping[str, Any], optimizer: Optimizer) -> None:
    """Raise ValueError unless the optimiser's saved state is one of these parameters.

    Args:
        saved: what `check_parts` has seen, with the same groups as `optimizer`.
    """
    for problem in _optimizer_problems(saved, optimizer):
        raise damaged(path, f"optimizer/{problem}")


def _optimizer_problems(saved: Mapping[str, Any], optimizer: Optimizer) -> Iterator[str]:
    parameters: dict[int, Tensor] = {}
    own_groups = optimizer.state_dict()["param_groups"]
    pairs = zip(saved["param_groups"], own_groups, optimizer.param_groups, strict=True)
    for index, (group, own, live) in enumerate(pairs):
        for key, value in own.items():
            if _kind(group.get(key)) != _kind(value):
                yield f"param_groups/{index}/{key} is {group.get(key)!r}"
        if group["params"] != own["params"]:
            yield f"param_groups/{index}/params are other parameters"
        parameters |= zip(own["params"], live["params"], strict=True)
    if not saved["state"] and "betas" in optimizer.defaults:
        yield "state is empty"  # Adam has moments from the first step on
    keys = {tuple(state) if isinstance(state, dict) else () for state in saved["state"].values()}
    if len(keys) > 1:
        yield "state has other entries for one parameter than for another"
    for number, state in saved["state"].items():
        if number not in parameters or not state:
            yield f"state/{number} is of no parameter"
        for key, value in state.items():
            if not _is_moment(key, value, parameters[number]):
                yield f"state/{number}/{key} does not fit the parameter"


def _is_moment(key: str, value: object, parameter: Tensor) -> bool:
    """Floating point numbers, one for each of the parameter or one for all (the step)."""
    if not isinstance(value, Tensor):
        none_yet = key == "momentum_buffer" and value is None  # SGD without momentum
        return none_yet or (key == "step" and _kind(value) == "number" and value >= 0)  # type: ignore[operator]
    if storage_fault(value) or not value.is_floating_point():
        return False
    return value.shape in (parameter.shape, ()) and bool(torch.isfinite(value).all())


def _kind(value: object) -> str:
    """True if a value may stand for another: any finite number for a number, else the same type."""
    if type(value) in (int, float):
        return "number" if math.isfinite(value) else "no number"  # type: ignore[arg-type]
    if isinstance(value, tuple):
        return f"({', '.join(map(_kind, value))})"
    return type(value).__name__


def _inside(content: Any, where: str) -> Any:
    for name in where.split("/"):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _check_type(path: Path, where: str, value: object, kind: type) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "missing" if value is None else f"a {type(value).__name__}, not a {kind.__name__}"
        raise damaged(path, f"{where} is {found}")
