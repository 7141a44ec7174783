"""Approximate nearest neighbours by faiss: an inverted file of fp16 vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from leopart_kit.clustering.nearest_neighbours import Neighbours

_SAMPLES_PER_LIST = 64  # the k-means of the lists is fitted on
_PROBED = 16  # one of so many lists is searched


class FaissNeighbours:
    """The memory in lists by k-means; a query looks into the lists that are nearest to it.

    Args:
        blocks: gives the memory, float `[m, D]` a block; called twice.
        size: rows of all blocks.

    Raises:
        ValueError: faiss is not installed.
    """

    def __init__(self, blocks: Callable[[], Iterable[Tensor]], size: int) -> None:
        faiss = import_faiss()
        num_lists, num_probed = _lists(size)
        step = max(1, size // (num_lists * _SAMPLES_PER_LIST))
        sample = torch.cat([block[::step] for block in blocks()])
        dim = sample.shape[1]
        self._quantizer = faiss.IndexFlatIP(dim)
        self._index = faiss.IndexIVFScalarQuantizer(
            self._quantizer,
            dim,
            num_lists,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
        )
        self._index.nprobe = num_probed
        self._index.train(sample.numpy())
        for block in blocks():
            self._index.add(block.numpy())

    def search(self, queries: Tensor, k: int) -> Neighbours:
        """As `nearest_neighbours`, on the CPU; where lists hold too few, products are −inf."""
        scores, rows = (torch.from_numpy(x) for x in self._index.search(queries.cpu().numpy(), k))
        missing = rows < 0
        return scores.masked_fill(missing, -torch.inf), rows.masked_fill(missing, 0)


def describe_faiss(size: int) -> str:
    """The index of a memory of `size` rows, and how much of it is searched."""
    num_lists, num_probed = _lists(size)
    return f"faiss IVF{num_lists},SQfp16, {num_probed} lists searched"


def _lists(size: int) -> tuple[int, int]:
    """Number of lists, and of those that a query looks into."""
    num_lists = max(1, min(round(4 * math.sqrt(size)), size // _SAMPLES_PER_LIST))
    return num_lists, -(-num_lists // _PROBED)


def import_faiss() -> Any:
    """The package; `ValueError` where it is missing."""
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            "index faiss needs faiss: pip install faiss-cpu, or set protocol.index=exact"
        ) from error
    return faiss
