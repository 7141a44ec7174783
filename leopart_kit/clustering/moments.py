"""Mean and spread of rows that are read in blocks, by one process or by several."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from leopart_kit.processes import ALONE, Processes

# Rows whose products are summed before they enter the float64 totals.
_BLOCK = 8192


class Moments:
    """Count, mean and centred second moments in float64, merged block by block.

    Merging follows Chan, Golub & LeVeque 1979: it does not cancel when the mean is far from 0.
    `scatter` is `[D]` (sums of squares) or, with `products`, `[D, D]`.
    """

    mean: Tensor
    scatter: Tensor

    def __init__(self, *, products: bool) -> None:
        self.products = products
        self.count = 0

    def update_all(self, chunks: Tensor | Iterable[Tensor], processes: Processes = ALONE) -> None:
        """The moments of all rows of all processes, in each of them."""
        processes.together(lambda: self._update_own(chunks))
        if processes.count > 1:
            own = (self.count, self.mean.cpu(), self.scatter.cpu()) if self.count else None
            device = self.mean.device if self.count else torch.device("cpu")
            self.count = 0
            for moments in filter(None, processes.gather(own)):
                count, mean, scatter = moments
                self._merge(count, mean.to(device), scatter.to(device))
        if self.count == 0:
            raise ValueError("there is no row to fit on")

    def _update_own(self, chunks: Tensor | Iterable[Tensor]) -> None:
        for chunk in [chunks] if isinstance(chunks, Tensor) else chunks:
            if chunk.ndim != 2:
                raise ValueError(f"rows must be [N, D], got shape {list(chunk.shape)}")
            if self.count and chunk.shape[1] != len(self.mean):
                raise ValueError(
                    f"a chunk has {chunk.shape[1]} dimensions, the ones before {len(self.mean)}"
                )
            for block in chunk.split(_BLOCK):
                self._update(block)

    def _update(self, block: Tensor) -> None:
        # Float32 inside a centred block is exact enough and twice as fast; sums are float64.
        rows = block if block.dtype == torch.float64 else block.float()
        count = len(rows)
        if count == 0:
            return
        mean = rows.mean(dim=0, dtype=torch.float64)
        if not mean.isfinite().all():
            first = self.count + int((~rows.isfinite().all(dim=1)).nonzero()[0])
            raise ValueError(f"row {first} holds a value that is not finite (NaN or infinite)")
        centred = rows - mean.to(rows.dtype)
        scatter = centred.T @ centred if self.products else centred.square().sum(dim=0)
        self._merge(count, mean, scatter.double())

    def _merge(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        if self.count == 0:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total = self.count + count
        shift = mean - self.mean
        between = torch.outer(shift, shift) if self.products else shift.square()
        self.scatter += scatter + between * (self.count * count / total)
        self.mean += shift * (count / total)
        self.count = total
