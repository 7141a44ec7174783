"""Rows of all processes in one matrix, with gradients, for losses over the global batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gather_rows(rows: Tensor, process_group: dist.ProcessGroup | None) -> tuple[Tensor, int]:
    """Rows of all processes in the order of their ranks, and where this process's begin.

    Each process's loss depends on the rows of all. The gradient that comes back to a process is the
    sum over all processes' losses. So the *average* of the parameters' gradients, which
    DistributedDataParallel forms, is that of the mean loss.

    Args:
        rows: `[N, D]`, as many in every process.
        process_group: None for this process alone.

    Returns:
        `([world · N, D], offset)`.
    """
    if process_group is None:
        return rows, 0
    gathered = _GatherRows.apply(rows, process_group)
    return gathered, dist.get_rank(process_group) * len(rows)  # pyright: ignore


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group, ctx.rows = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, rows.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient, group=ctx.group)
        start = dist.get_rank(ctx.group) * ctx.rows
        return gradient[start : start + ctx.rows], None
