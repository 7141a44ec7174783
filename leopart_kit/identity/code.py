"""Text and hashes that identify what networks and functions compute."""

from __future__ import annotations

import argparse
import functools
import hashlib
import inspect
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# What is wholly in its text; and of the standard library, objects that are nothing but values.
_PLAIN = (int, float, complex, str, bytes, type(None), PurePath, Enum, torch.dtype, torch.device)
_RECORDS = (SimpleNamespace, argparse.Namespace)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) over names, types, shapes and values."""
    digest = hashlib.sha256()
    for key, value in state.items():
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def describe(value: object) -> str:
    """Identity of a value: its source, and all that it holds, is bound to or captured.

    Two functions from one factory differ in what they captured, and two objects of one class in
    their attributes, so the source alone is not enough. A value that changes as it is used, such as
    one that counts its calls, is another one each time.
    """
    return _Describer().of(value)


def describe_module(module: nn.Module) -> str:
    """Structure, source and plain attributes of a module, without its weights."""
    return _Describer().module(module)


class _Describer:
    """One description; what was met before in it is not told again, so that it ends."""

    def __init__(self) -> None:
        self._seen: dict[int, object] = {}  # holds them, so that no other one gets their id

    def of(self, value: object) -> str:
        if isinstance(value, (*_PLAIN, np.generic, np.dtype)):
            return repr(value)
        if id(value) in self._seen:
            return "…"
        self._seen[id(value)] = value
        if isinstance(value, nn.Module):
            return f"{self.module(value)} {hash_weights(value.state_dict())}"
        if isinstance(value, Tensor):
            return hash_weights({"": value})
        if isinstance(value, np.ndarray):
            return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
        if isinstance(value, functools.partial):
            return f"partial {self._all((value.func, value.args, value.keywords))}"
        if isinstance(value, Mapping):
            return self._all(f"{self.of(key)}: {self.of(item)}" for key, item in value.items())
        if isinstance(value, (list, tuple, deque)):
            return self._all(value)
        if isinstance(value, (set, frozenset)):
            return self._all(sorted(self.of(item) for item in value))
        if inspect.ismethod(value):
            return f"{self.of(value.__func__)} of {self.of(value.__self__)}"
        if isinstance(value, FunctionType):
            return self._function(value)
        if _is_opaque(value):
            return source_of(value if callable(value) else type(value))
        return f"{source_of(type(value))} {self.of(vars(value))}"

    def module(self, module: nn.Module) -> str:
        settings = {
            name: {
                key: self.of(item)
                for key, item in vars(part).items()
                if key not in _OF_EVERY_MODULE
            }
            for name, part in module.named_modules()
        }
        return f"{module!r} {source_of(type(module))} {settings}"

    def _function(self, function: FunctionType) -> str:
        captured = inspect.getclosurevars(function).nonlocals
        defaults = (function.__defaults__, function.__kwdefaults__)
        known = function.__globals__
        used = [known[name] for name in sorted(_names(function.__code__)) if name in known]
        own = [item for item in used if _is_own(item, function.__module__)]
        return f"{source_of(function)} {self._all((captured, defaults, own))}"

    def _all(self, values: Iterable[Any]) -> str:
        return f"({', '.join(self.of(value) for value in values)})"


def _names(code: CodeType) -> set[str]:
    """Names that code looks up outside of itself, functions within it included."""
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*(_names(part) for part in inner))


def _is_own(item: object, module: str) -> bool:
    """True for a global of the user's file: no library, nor a function or class of one."""
    if isinstance(item, (type, FunctionType)):
        return item.__module__ == module
    return not isinstance(item, ModuleType)


def _is_opaque(value: object) -> bool:
    """True for values known by their kind: classes, built-in functions, loggers, locks, files."""
    if isinstance(value, (type, ModuleType)) or not hasattr(value, "__dict__"):
        return True
    library = type(value).__module__.partition(".")[0]
    return library in sys.stdlib_module_names and not isinstance(value, _RECORDS)


def source_of(target: object) -> str:
    """The source of a class, function or module; its name where there is none."""
    try:
        return inspect.getsource(target)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', '')}"
