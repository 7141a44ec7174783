"""Checks of arguments that losses share."""

from __future__ import annotations

import math

from torch import Tensor


def check_positive(**numbers: float | Tensor) -> None:
    """Refuse numbers that are not above 0 and finite; a tensor, which is learned, is not read.

    Raises:
        ValueError: names the argument.
    """
    for name, number in numbers.items():
        if not isinstance(number, Tensor) and not 0 < number < math.inf:
            raise ValueError(f"{name} must be above 0 and finite, got {number}")


def check_not_empty(**tensors: Tensor) -> None:
    """Refuse tensors without an entry, of which no mean can be taken.

    Raises:
        ValueError: names the argument.
    """
    for name, tensor in tensors.items():
        if not tensor.numel():
            raise ValueError(f"{name} must hold at least one entry, got {list(tensor.shape)}")
