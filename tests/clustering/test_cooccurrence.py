from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering.cooccurrence import CooccurrenceSums, cooccurrence, neighbour_offsets


def by_the_definition(maps, num_clusters: int, offsets) -> np.ndarray:
    """Pixel by pixel, as the docstring says it."""
    sums, images = np.zeros((num_clusters, num_clusters)), np.zeros(num_clusters)
    for ids in maps:
        counts = np.zeros((num_clusters, num_clusters))
        for (y, x), cluster in np.ndenumerate(ids):
            for dy, dx in offsets:
                if not (0 <= y + dy < ids.shape[0] and 0 <= x + dx < ids.shape[1]):
                    continue
                other = ids[y + dy, x + dx]
                if cluster >= 0 and other >= 0 and other != cluster:
                    counts[cluster, other] += 1
        totals = counts.sum(axis=1)
        sums[totals > 0] += counts[totals > 0] / totals[totals > 0, None]
        images += totals > 0
    return sums / np.maximum(images, 1)[:, None]


def test_equals_the_released_code(golden):
    arrays = golden("communities")
    actual = cooccurrence(
        torch.from_numpy(arrays["cluster_maps"]),
        int(arrays["num_clusters"]),
        tuple(arrays["distances"].tolist()),
        neighbourhood="as_released",
    )
    np.testing.assert_allclose(actual.numpy(), arrays["cooccurrence"], rtol=1e-10, atol=1e-12)


def test_by_hand():
    # Cluster 0 touches 1 three times (right and both diagonals) in the first image and meets 1 once
    # and 2 once in the second; cluster 2 meets 0 and 1; cluster 3 is alone in the third.
    maps = [torch.tensor([[0, 1], [0, 1]]), torch.tensor([[1, 0, 2]]), torch.tensor([[3, 3]])]
    expected = torch.tensor(
        [[0, 0.75, 0.25, 0], [0.75, 0, 0.25, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0]],
        dtype=torch.float64,
    )
    torch.testing.assert_close(cooccurrence(maps, 4), expected)


def test_offsets():
    assert set(neighbour_offsets([2], "symmetric")) == {
        (-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2)
    }  # fmt: skip
    assert sorted(neighbour_offsets([2], "as_released")) == [
        (-2, -1), (-2, 0), (-1, 1), (0, -2), (0, 2), (1, -1), (1, 1), (2, 0)
    ]  # fmt: skip


@given(st.integers(0, 10_000), st.sampled_from(["symmetric", "as_released"]))
def test_any_sizes_and_ignored_pixels_follow_the_definition(seed, neighbourhood):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, (rng.integers(1, 4), 2))
    maps = [rng.integers(-1, 4, size) for size in sizes]
    distances = [(1,), (1, 2), (3,)][seed % 3]
    expected = by_the_definition(maps, 4, neighbour_offsets(distances, neighbourhood))
    actual = cooccurrence(iter(maps), 4, distances, neighbourhood)
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)


@given(st.integers(0, 10_000))
def test_rows_are_distributions_and_turning_changes_nothing(seed):
    maps = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, (3, 6, 6)))
    directed = cooccurrence(maps, 6)
    met = directed.sum(dim=1)
    torch.testing.assert_close(met, (met > 0).double())
    assert not directed.diagonal().any()
    torch.testing.assert_close(cooccurrence(maps.rot90(dims=(1, 2)), 6), directed)
    torch.testing.assert_close(cooccurrence(maps.flip(0), 6), directed)


def test_more_than_256_clusters():
    maps = torch.tensor([[[299, 300], [299, 300]]])
    directed = cooccurrence(maps, 301)
    assert directed.nonzero().tolist() == [[299, 300], [300, 299]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_narrow_ids_do_not_overflow(dtype):
    maps = torch.randint(0, 100, (2, 9, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(cooccurrence(maps.to(dtype), 100), cooccurrence(maps, 100))


def test_merged_blocks_equal_all_images():
    maps = torch.randint(0, 6, (8, 7, 7), generator=torch.Generator().manual_seed(0))
    blocks = [CooccurrenceSums(6).update(block) for block in maps.split(3)]
    merged = blocks[0].merge(blocks[1]).merge(blocks[2])
    torch.testing.assert_close(merged.mean(), cooccurrence(maps, 6))
    twice = CooccurrenceSums(6).update(maps[:1]).merge(CooccurrenceSums(6).update(maps[:1]))
    torch.testing.assert_close(twice.mean(), cooccurrence(maps[:1], 6))


def test_no_map_gives_no_neighbour():
    assert not cooccurrence([], 3).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cluster_maps": [torch.zeros(2, 2).long(), torch.tensor([[7]])]}, "map 1 holds id 7"),
        ({"cluster_maps": torch.zeros(2, 2).long()}, r"map 0.*\[h, w\]"),
        ({"cluster_maps": torch.zeros(1, 2, 2)}, "got float32"),
        ({"num_clusters": 0}, "num_clusters"),
        ({"distances": ()}, "at least 1, got \\[\\]"),
        ({"distances": (0, 1)}, "at least 1, got \\[0, 1\\]"),
        ({"neighbourhood": "round"}, "got 'round'"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        cooccurrence(**{"cluster_maps": torch.zeros(1, 2, 2).long(), "num_clusters": 3} | arguments)


def test_merge_refuses_other_neighbours():
    with pytest.raises(ValueError, match="differ"):
        CooccurrenceSums(3).merge(CooccurrenceSums(3, distances=(1,)))
