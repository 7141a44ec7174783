"""Exact nearest neighbours by inner product in a memory of any size.

Where the machine multiplies bfloat16 faster than float32, bfloat16 products are *bounds*. What they
cannot rule out is compared in float32, so the answer stays exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

Neighbours = tuple[Tensor, Tensor]  # inner products float32 [Q, k], rows int64 [Q, k]

_BUFFER_BYTES = {"cpu": 1 << 28, "cuda": 1 << 30}  # of the products held at a time
_COLUMNS = 4096  # rows of the memory per product: what a CPU's caches hold
_GROUP = 16  # scores of which only the largest is looked at first
_MORE_CANDIDATES = 64  # beside the k wanted: enough that bounds nearly always settle the k
_RERANKED = 64  # queries at a time: neighbours of near patches overlap and stay in the cache
_BFLOAT16_ROUNDING = 2.0**-8
_ROUNDED = {"cpu": 1024, "cuda": 1 << 17}  # rows at a time: what a CPU's caches hold


def nearest_neighbours(
    queries: Tensor, blocks: Iterable[Tensor], k: int, *, device: str | torch.device = "cpu"
) -> Neighbours:
    """The k rows of a memory with the largest inner product with each query.

    Args:
        queries: float `[Q, D]`.
        blocks: the memory, float `[m, D]` a block, one after the other; at most one block and its
            products with a few queries are held. A block is done with before the next is asked for.
        device: where to compute.

    Returns:
        Inner products `[Q, k]` in descending order, and row numbers counted over all blocks, on the
        device. Among equal products any may be taken.

    Raises:
        ValueError: fewer rows than k, or another width than the queries'.
    """
    queries = queries.to(device, torch.float32)
    scores = queries.new_empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    start = 0
    for block in blocks:
        if block.shape[1] != queries.shape[1]:
            raise ValueError(f"queries are {queries.shape[1]} wide, the memory {block.shape[1]}")
        found, places = _search(queries, block.to(device, torch.float32), min(k, len(block)))
        scores, rows = merge_neighbours((scores, rows), (found, places + start), k)
        start += len(block)
    if start < k:
        raise ValueError(f"{k} neighbours are more than the {start} rows of the memory")
    return scores, rows


def merge_neighbours(first: Neighbours, second: Neighbours, k: int) -> Neighbours:
    """The k best of two answers for the same queries (all, where they are fewer)."""
    scores, rows = (torch.cat(pair, dim=1) for pair in zip(first, second, strict=True))
    scores, places = scores.topk(min(k, scores.shape[1]), dim=1)
    return scores, rows.gather(1, places)


def _search(queries: Tensor, block: Tensor, k: int) -> Neighbours:
    # In a small block most rows would be candidates.
    large = len(block) >= _GROUP * (k + _MORE_CANDIDATES)
    if large and bfloat16_is_faster(str(queries.device)):
        return search_by_bounds(queries, block, k)
    return search_by_products(queries, block, k)


def search_by_products(queries: Tensor, block: Tensor, k: int) -> Neighbours:
    """Neighbours in one block by float32 products of all pairs."""
    found = []
    for _, scores in _products(queries, block):
        values, places = _largest(scores, k)
        values, order = values.sort(dim=1, descending=True)
        found.append((values[:, :k], places.gather(1, order)[:, :k]))
    return _concatenate(found, queries, k)


def search_by_bounds(queries: Tensor, block: Tensor, k: int) -> Neighbours:
    """Neighbours in one block by bfloat16 products that bound the exact ones from above.

    Rounding a vector moves an inner product by no more than the length of what was cut off times
    the length of the other vector. With that added, the k + 64 rows of the largest bound are
    compared exactly. If the k-th of them beats the largest bound of all others, they are the
    neighbours. Queries for which it does not are searched by float32 products.
    """
    # Moves all scores of a query alike, and makes the rounding smaller; about the mean will do.
    centre = block[::_GROUP].mean(dim=0)
    rounded, lengths, cut = _rounded(block, centre)
    rounded_queries = queries.bfloat16()
    cut_queries = queries - rounded_queries.float()
    slack = cut_queries.norm(dim=1).max() * lengths
    slack += rounded_queries.float().norm(dim=1).max() * cut
    slack *= 1.02  # its own rounding, and that of the sums
    found, unsettled = [], []
    shift = queries @ centre
    for rows, bounds in _products(rounded_queries, rounded, slack.bfloat16()):
        values, places = _largest(bounds, k + _MORE_CANDIDATES)
        rest = values.amin(dim=1).float()
        rest += rest.abs() * _BFLOAT16_ROUNDING
        values, order = _exact(queries[rows], block, places).topk(k, dim=1)
        found.append((values, places.gather(1, order)))
        unsettled.append(values[:, -1] - shift[rows] < rest)
    scores, places = _concatenate(found, queries, k)
    again = torch.cat(unsettled).nonzero()[:, 0]
    if len(again):
        scores[again], places[again] = search_by_products(queries[again], block, k)
    return scores, places


def _rounded(block: Tensor, centre: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`block - centre` in bfloat16, the lengths of its rows, and of what rounding cut off them."""
    rounded = torch.empty_like(block, dtype=torch.bfloat16)
    lengths, cut = block.new_empty(2, len(block))
    size = _ROUNDED["cuda" if block.is_cuda else "cpu"]
    for rows in (slice(start, start + size) for start in range(0, len(block), size)):
        centred = block[rows] - centre
        rounded[rows] = centred
        lengths[rows] = centred.norm(dim=1)
        cut[rows] = centred.sub_(rounded[rows]).norm(dim=1)
    return rounded, lengths, cut


def _products(
    queries: Tensor, block: Tensor, bias: Tensor | None = None
) -> Iterable[tuple[slice, Tensor]]:
    """`queries @ block.T + bias` for some queries at a time, in a buffer that is used again.

    Scores are `[B, n, w]`: row r of the memory is column r % w of part r // w. Each part lies in
    one piece, so that a product is written where it stays. The last part is filled up with minus
    infinity.
    """
    width = min(_COLUMNS, -(-len(block) // _GROUP) * _GROUP)
    parts = -(-len(block) // width)
    budget = _BUFFER_BYTES["cuda" if queries.is_cuda else "cpu"]
    height = min(len(queries), max(1, budget // (parts * width * queries.element_size())))
    buffer = queries.new_full((parts, height, width), -torch.inf)
    for start in range(0, len(queries), height):
        rows = slice(start, min(start + height, len(queries)))
        scores = buffer[:, : rows.stop - start]
        for part, left in zip(scores, range(0, len(block), width), strict=True):
            columns = slice(left, min(left + width, len(block)))
            found = part[:, : columns.stop - left]
            if bias is None:
                torch.mm(queries[rows], block[columns].T, out=found)
            else:
                torch.addmm(bias[columns], queries[rows], block[columns].T, out=found)
        yield rows, scores


def _largest(scores: Tensor, count: int) -> Neighbours:
    """The largest scores `[n, count]` of `[B, n, w]` and their rows of the memory, in any order.

    They lie in the groups with the largest maxima: a fast pass over all, a sort of few.
    """
    parts, height, width = scores.shape
    in_part = width // _GROUP
    groups = scores.unflatten(2, (_GROUP, in_part)).amax(dim=2)
    groups = groups.transpose(0, 1).reshape(height, parts * in_part)
    best = groups.topk(min(count, parts * in_part), dim=1, sorted=False).indices
    part, column = best // in_part, best % in_part
    columns = column[:, :, None] + torch.arange(_GROUP, device=scores.device) * in_part
    queries = torch.arange(height, device=scores.device)
    candidates = scores[part[:, :, None], queries[:, None, None], columns].flatten(1)
    places = (part[:, :, None] * width + columns).flatten(1)
    values, order = candidates.topk(count, dim=1, sorted=False)
    return values, places.gather(1, order)


def _exact(queries: Tensor, block: Tensor, places: Tensor) -> Tensor:
    """float32 products of each query with its own candidates `[n, c]`."""
    number, count = places.shape
    found = queries.new_empty(number, count)
    rows = block.new_empty(min(_RERANKED, number) * count, block.shape[1])
    for start in range(0, number, _RERANKED):
        some = slice(start, start + _RERANKED)
        near = places[some]
        candidates = torch.index_select(block, 0, near.flatten(), out=rows[: near.numel()])
        candidates = candidates.view(*near.shape, -1)
        torch.bmm(candidates, queries[some, :, None], out=found[some, :, None])
    return found


def _concatenate(found: list[Neighbours], queries: Tensor, k: int) -> Neighbours:
    if not found:
        empty = queries.new_empty(0, k)
        return empty, empty.long()
    return torch.cat([scores for scores, _ in found]), torch.cat([places for _, places in found])


@lru_cache
def bfloat16_is_faster(device: str) -> bool:
    """True if a bfloat16 product takes less time here; either way the neighbours are the same."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(256, 256, dtype=dtype, device=device), None
        b = torch.ones(_COLUMNS, 256, dtype=dtype, device=device)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            (a @ b.T)[0, 0].item()  # waits for a GPU
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]
