"""Mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def summarize(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation of one metric over seeds.

    The deviation has n - 1 in the denominator, the spread to expect of one more seed, where
    `numpy.std` has n. It is 0 for a single seed, which says nothing about the spread.

    Raises:
        ValueError: no value, or a value that is not finite (its position is named).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("values is empty: give the metric of at least one seed")
    broken = np.flatnonzero(~np.isfinite(array))
    if broken.size:
        raise ValueError(
            f"value {broken[0]} is {array[broken[0]]}: every seed needs a finite score"
        )
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else 0.0
