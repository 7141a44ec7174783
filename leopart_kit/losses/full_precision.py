"""Losses are computed in float32 whatever precision the networks run in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Switch autocast off inside `loss` and pass all floating tensors in one precision.

    That is float32, or float64 where one of them has it. Tensors may be arguments or members of
    lists and tuples.
    """

    @wraps(loss)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            found = _dtypes([args, list(kwargs.values())])
            dtype = reduce(torch.promote_types, found, torch.float32)
            wide = [_widened(value, dtype) for value in args]
            named = {name: _widened(value, dtype) for name, value in kwargs.items()}
            return loss(*wide, **named)  # pyright: ignore[reportCallIssue]

    return wrapped


def _dtypes(value: Any) -> Iterator[torch.dtype]:
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value.dtype
    if type(value) in (list, tuple):
        for item in value:
            yield from _dtypes(item)


def _widened(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(dtype)
    if type(value) in (list, tuple):
        return type(value)(_widened(item, dtype) for item in value)
    return value
