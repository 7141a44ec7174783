"""Losses are computed in float32 whatever precision the networks run in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(loss: Callable[P, R]) -> Callable[P, R]:
    """Switch autocast off inside `loss` and pass half-precision tensors as float32.

    Float64 stays. Tensors may be arguments or members of lists and tuples.
    """

    @wraps(loss)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            wide = [_widened(value) for value in args]
            named = {name: _widened(value) for name, value in kwargs.items()}
            return loss(*wide, **named)  # pyright: ignore[reportCallIssue]

    return wrapped


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(torch.promote_types(value.dtype, torch.float32))
    if type(value) in (list, tuple):
        return type(value)(_widened(item) for item in value)
    return value
