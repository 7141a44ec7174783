"""Work of the host inside of a step: counts, draws, words, warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

F = TypeVar("F", bound=Callable[..., Any])


def outside_graphs(function: F) -> F:
    """Keep a function out of compiled graphs, which end before it and go on after it.

    A graph that held it would be made anew whenever a number of the host has changed.
    """
    return torch.compiler.disable(function)  # pyright: ignore
