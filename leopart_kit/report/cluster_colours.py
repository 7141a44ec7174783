"""Cluster ids of one clustering in terms of another, so that pictures of both agree in colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment


def agreeing_ids(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """For each cluster of `after` the cluster of `before` it continues, or an id of its own.

    Pairs are one to one and share the most pixels in total (Hungarian matching on the overlap of
    all maps together). A cluster of `after` that overlaps no partner gets an id that `before` does
    not use, so that an equal id always stands for common pixels.

    Args:
        before, after: integer maps `[h, w]` of the same images in the same order; pixels below 0
            belong to no cluster.

    Returns:
        int64 `[K]`, K clusters of `after`: different ids.

    Raises:
        ValueError: the maps differ in number or size.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} maps before and {len(after)} after; give the same images")
    for index, (first, second) in enumerate(zip(before, after, strict=True)):
        if first.shape != second.shape:
            raise ValueError(
                f"map {index} is {list(first.shape)} before and {list(second.shape)} after; give "
                "both at the same size"
            )
    num_before, num_after = (
        1 + max((int(m.max()) for m in maps), default=-1) for maps in (before, after)
    )
    overlap = np.zeros((num_before, num_after), dtype=np.int64)
    for first, second in zip(before, after, strict=True):
        inside = (first >= 0) & (second >= 0)
        np.add.at(overlap, (first[inside], second[inside]), 1)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    common = overlap[rows, columns] > 0
    ids = np.full(num_after, -1, dtype=np.int64)
    ids[columns[common]] = rows[common]
    new = ids < 0
    ids[new] = num_before + np.arange(new.sum())
    return ids
