"""Sums of rows by label, in an order that never changes, where many threads add at once."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_sums(rows: Tensor, labels: Tensor, number: int) -> Tensor:
    """Sum of the rows of every label, `[n, D]` and `[n]` → `[number, D]`; 0 for one without rows.

    For a GPU: scatter-adds there are atomic and happen in any order, and a product with one-hot
    rows moves n · number values. Rows that are sorted by label lie in segments, and each sum runs
    over one segment from its first row to its last.
    """
    ordered, places = labels.sort(stable=True)
    firsts = torch.arange(number + 1, device=labels.device, dtype=ordered.dtype)
    offsets = torch.searchsorted(ordered, firsts)
    # "unsafe" leaves out checks of the offsets, for which the host would wait.
    return torch.segment_reduce(
        rows[places], "sum", offsets=offsets, axis=0, unsafe=True, initial=0
    )
