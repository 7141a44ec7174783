"""Text and hashes that identify what an encoder computes."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types, shapes and values."""
    digest = hashlib.sha256()
    for key, value in state.items():
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def describe_module(module: nn.Module) -> str:
    """Structure, source and plain attributes of a module, without its weights."""
    settings = {
        name: {key: item for key, item in vars(part).items() if _is_setting(key, item)}
        for name, part in module.named_modules()
    }
    return f"{module!r} {_source(type(module))} {settings}"


def _is_setting(key: str, item: object) -> bool:
    return key != "training" and isinstance(item, (int, float, str, tuple, type(None)))


def describe_callable(value: object) -> str:
    """What a user's callable depends on: source, bound and captured values, weights.

    Two functions from one factory differ in what they captured, so the source alone is not enough.
    """
    if isinstance(value, nn.Module):
        return f"{describe_module(value)} {hash_weights(value.state_dict())}"
    if isinstance(value, Tensor):
        return hash_weights({"": value})
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, functools.partial):
        return "partial " + _describe_all(
            (value.func, *value.args, *sorted(value.keywords.items()))
        )
    if isinstance(value, (list, tuple)):
        return _describe_all(value)
    if inspect.ismethod(value):
        return f"{describe_callable(value.__func__)} of {describe_callable(value.__self__)}"
    if inspect.isfunction(value):
        captured = [cell.cell_contents for cell in value.__closure__ or ()]
        return f"{_source(value)} {_describe_all((*captured, *(value.__defaults__ or ())))}"
    if isinstance(value, (int, float, str, bytes, bool, type(None))):
        return repr(value)
    return _source(type(value))


def _describe_all(values: list[object] | tuple[object, ...]) -> str:
    return f"({', '.join(describe_callable(value) for value in values)})"


def _source(target: object) -> str:
    try:
        return inspect.getsource(target)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
