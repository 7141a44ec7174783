"""The tokens of a store that one of several processes works on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.lloyd import BLOCK
from leopart_kit.clustering.projection import TokenProjection
from leopart_kit.evaluation.store.joined_stores import PatchTokens
from leopart_kit.mapped_array import scratch_array
from leopart_kit.processes import ALONE, Processes


class TokenShare:
    """A part of the tokens of a store in their order: whole blocks, for the sums of k-means.

    Args:
        processes: those that share the tokens; alone, this is all of them.
        mask: bool, `[N, h, w]`, the tokens that are shared; None shares all.

    Attributes:
        total: tokens of all shares.
        start: number of the first token of this share.
    """

    def __init__(
        self, store: PatchTokens, processes: Processes = ALONE, mask: np.ndarray | None = None
    ) -> None:
        self.store = store
        self._patches = store.grid[0] * store.grid[1]
        shape = len(store), self._patches
        self._mask = np.broadcast_to(True, shape) if mask is None else mask.reshape(shape)
        # Tokens before each image, and in all.
        self._before = np.concatenate([[0], np.cumsum(self._mask.sum(axis=1))])
        self.total = int(self._before[-1])
        part = processes.part(self.total, BLOCK)
        self.start, self._stop = part.start, part.stop

    def __len__(self) -> int:
        return self._stop - self.start

    def chunks(self) -> Iterator[Tensor]:
        """The tokens, float32 `[n, D]`, a few images at a time; one chunk of none without any."""
        if not len(self):
            yield torch.empty(0, self.store.embed_dim)
        for chunk, rows in self._pieces():
            yield chunk if len(rows) == len(chunk) else chunk[rows]

    def project(self, projection: TokenProjection) -> Tensor:
        """The tokens after a projection, float32 `[n, d]`, so that memory stays free of them.

        They are mapped from a passing file beside the store.

        Raises:
            OSError: the disk has too little space; carries the name of the folder.
        """
        dim = projection(torch.zeros(1, self.store.embed_dim)).shape[-1]
        shape = len(self), dim
        points = torch.from_numpy(scratch_array(self.store.folder, shape, np.float32))
        filled = 0
        for chunk, rows in self._pieces():
            # Whole images: a product of a few rows may be rounded otherwise.
            found = projection(chunk)
            points[filled : filled + len(rows)] = found if len(rows) == len(chunk) else found[rows]
            filled += len(rows)
        return points

    def _pieces(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Tokens of whole images, and the rows of them that belong to the share."""
        if not len(self):
            return
        image = int(np.searchsorted(self._before, self.start, side="right")) - 1
        for chunk in self.store.chunks(start=image):
            first = int(self._before[image])
            if first >= self._stop:
                return
            images = len(chunk) // self._patches
            rows = np.flatnonzero(self._mask[image : image + images])
            rows = rows[max(self.start - first, 0) : self._stop - first]
            yield chunk, torch.from_numpy(rows)
            image += images
