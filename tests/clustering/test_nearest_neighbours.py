from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from leopart_kit.clustering import nearest_faiss
from leopart_kit.clustering.nearest_faiss import FaissNeighbours, describe_faiss
from leopart_kit.clustering.nearest_neighbours import (
    nearest_neighbours,
    search_by_bounds,
    search_by_products,
)


def brute_force(queries: Tensor, memory: Tensor, k: int) -> tuple[Tensor, Tensor]:
    products = queries.double() @ memory.double().T
    values, rows = products.topk(k, dim=1)
    return values.float(), rows


def clustered(count: int, dim: int, seed: int, noise: float = 0.3) -> Tensor:
    """Unit vectors that crowd around a few directions, far from zero, as patch tokens do."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(5, dim, generator=generator) + 2
    which = torch.randint(5, (count,), generator=generator)
    return F.normalize(centres[which] + noise * torch.randn(count, dim, generator=generator), dim=1)


def test_neighbours_by_hand():
    memory = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    scores, rows = nearest_neighbours(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), [memory], 2)
    assert rows.tolist() == [[0, 2], [1, 2]]
    torch.testing.assert_close(scores, torch.tensor([[1.0, 0.6], [2.0, 1.6]]))


@pytest.mark.parametrize("search", [search_by_products, search_by_bounds])
@pytest.mark.parametrize("rows", [1536, 5001])
def test_both_ways_of_searching_are_exact(search, rows: int):
    memory, queries = clustered(rows, 48, 0), clustered(300, 48, 1)
    expected, places = brute_force(queries, memory, 30)
    found, found_places = search(queries, memory, 30)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    # Neighbours that are equal in float32 may change places.
    same = found_places.sort().values == places.sort().values
    assert same.all(dim=1).float().mean() > 0.97


def test_bounds_that_settle_nothing_are_followed_by_products(monkeypatch: pytest.MonkeyPatch):
    # Hundreds of rows closer to each other than bfloat16 can tell.
    memory, queries = clustered(4096, 32, 0, noise=1e-4), clustered(64, 32, 1)
    asked = []

    def spy(queries: Tensor, block: Tensor, k: int):
        asked.append(len(queries))
        return search_by_products(queries, block, k)

    monkeypatch.setattr(sys.modules[search_by_bounds.__module__], "search_by_products", spy)
    expected, _ = brute_force(queries, memory, 5)
    found, _ = search_by_bounds(queries, memory, 5)
    assert asked
    assert asked[0] > 32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@settings(max_examples=30)
@given(
    rows=st.integers(8, 60),
    cuts=st.lists(st.integers(1, 59), max_size=3),
    k=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_blocks_and_their_order_change_nothing(rows: int, cuts: list[int], k: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    memory = torch.randn(rows, 6, generator=generator)
    queries = torch.randn(5, 6, generator=generator)
    whole, places = nearest_neighbours(queries, [memory], k)
    ends = sorted({cut for cut in cuts if cut < rows} | {0, rows})
    blocks = [memory[a:b] for a, b in pairwise(ends)]
    chunked, chunked_places = nearest_neighbours(queries, blocks, k)
    torch.testing.assert_close(chunked, whole)
    assert torch.equal(chunked_places, places)
    order = torch.randperm(rows, generator=generator)
    permuted, permuted_places = nearest_neighbours(queries, [memory[order]], k)
    torch.testing.assert_close(permuted, whole)
    assert torch.equal(order[permuted_places], places)


def test_a_memory_that_is_too_small_or_of_another_width_is_named():
    with pytest.raises(ValueError, match="the 4 rows"):
        nearest_neighbours(torch.ones(1, 3), [torch.ones(2, 3), torch.ones(2, 3)], 5)
    with pytest.raises(ValueError, match="are 3 wide"):
        nearest_neighbours(torch.ones(1, 3), [torch.ones(2, 2)], 1)


def test_faiss_finds_most_of_the_neighbours():
    pytest.importorskip("faiss")
    memory, queries = clustered(4000, 16, 0), clustered(200, 16, 1)
    _, expected = brute_force(queries, memory, 10)
    index = FaissNeighbours(lambda: memory.split(1500), len(memory))
    scores, rows = index.search(queries, 10)
    shared = (rows[:, :, None] == expected[:, None]).any(dim=1).float().mean()
    assert 0.6 < shared <= 1
    torch.testing.assert_close(
        scores[:, 0], (queries * memory[rows[:, 0]]).sum(dim=1), rtol=0, atol=2e-3
    )
    assert describe_faiss(4000) == "faiss IVF62,SQfp16, 4 lists searched"


def test_a_missing_faiss_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"protocol\.index"):
        nearest_faiss.import_faiss()
