from __future__ import annotations

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.clustering.communities import cluster_graph, detect_communities, mutual_edges
from leopart_kit.clustering.node_order import canonical_order

METHODS = ["infomap", "louvain"]


def same_up_to_renaming(first, second) -> bool:
    """Whether two partitions are equal: an adjusted Rand index of 1."""
    pairs = set(zip(np.asarray(first).tolist(), np.asarray(second).tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def planted(sizes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight 1 within communities of these sizes and 0.05 between them."""
    truth = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    weights = torch.where(truth[:, None] == truth[None], 1.0, 0.05).double()
    return weights.fill_diagonal_(0), truth


def random_graph(seed: int, num_clusters: int, density: float, levels: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    values = rng.random((num_clusters, num_clusters))
    if levels:
        values = np.ceil(values * levels) / levels
    upper = np.triu(values * (rng.random(values.shape) < density), 1)
    return torch.from_numpy(upper + upper.T)


@pytest.fixture
def reference(golden):
    arrays = golden("communities")
    arrays["weights"] = mutual_edges(
        torch.from_numpy(arrays["cooccurrence"]), float(arrays["edge_threshold"])
    )
    return arrays


def test_edges_equal_the_released_code(reference):
    expected = np.zeros((24, 24))
    for source, target, weight in reference["edges"]:
        expected[int(source), int(target)] = expected[int(target), int(source)] = weight
    np.testing.assert_allclose(reference["weights"].numpy(), expected, rtol=1e-12)


def test_edges_by_hand():
    directed = torch.tensor([[9.0, 0.5, 0.2], [0.3, 0.0, 0.0], [0.1, 0.4, 0.0]])
    kept = [[0, 0.3, 0], [0.3, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(mutual_edges(directed, 0.25), torch.tensor(kept).double())
    low = torch.tensor([[0, 0.3, 0.1], [0.3, 0, 0], [0.1, 0, 0]]).double()
    torch.testing.assert_close(mutual_edges(directed, 0), low)


def test_infomap_partition_equals_the_reference(reference):
    found = detect_communities(reference["weights"], seed=1, preferred_communities=6)
    module = reference["infomap_module"]
    assert found.tolist().count(-1) == 1
    assert np.array_equal(found.numpy() == -1, module == 0)
    assert same_up_to_renaming(found, module)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(sizes=st.lists(st.integers(4, 12), min_size=2, max_size=5), seed=st.integers(0, 1000))
def test_planted_communities_are_found(method, sizes, seed):
    weights, truth = planted(sizes)
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(len(truth)))
    found = detect_communities(weights[shuffled][:, shuffled], method, seed=seed)
    assert same_up_to_renaming(found, truth[shuffled])


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_the_order_of_the_clusters_does_not_matter(method, seed):
    weights = random_graph(seed, 30, 0.15)
    shuffled = torch.from_numpy(np.random.default_rng(seed).permutation(30))
    found = detect_communities(weights, method, seed=seed, preferred_communities=5)
    again = detect_communities(
        weights[shuffled][:, shuffled], method, seed=seed, preferred_communities=5
    )
    assert torch.equal(again, found[shuffled])


def test_the_order_does_not_matter_for_the_reference(reference):
    shuffled = torch.from_numpy(np.random.default_rng(3).permutation(24))
    weights = reference["weights"][shuffled][:, shuffled]
    found = detect_communities(weights, seed=1, preferred_communities=6)
    assert same_up_to_renaming(found, reference["infomap_module"][shuffled])


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.1, 0.9))
def test_nodes_of_a_graph_are_sorted_by_the_graph_alone(seed, num_clusters, density):
    # Two or three different weights: many nodes look alike until their neighbours are compared.
    weights = random_graph(seed, num_clusters, density, levels=2 + seed % 2).numpy()
    shuffled = np.random.default_rng(seed).permutation(num_clusters)
    other = weights[np.ix_(shuffled, shuffled)]
    order, again = canonical_order(weights), canonical_order(other)
    assert sorted(order.tolist()) == list(range(num_clusters))
    assert np.array_equal(weights[np.ix_(order, order)], other[np.ix_(again, again)])


def test_a_ring_has_one_order():
    ring = nx.to_numpy_array(nx.cycle_graph(9))
    shuffled = np.random.default_rng(0).permutation(9)
    other = ring[np.ix_(shuffled, shuffled)]
    order, again = canonical_order(ring), canonical_order(other)
    assert np.array_equal(ring[np.ix_(order, order)], other[np.ix_(again, again)])


@pytest.mark.parametrize("method", METHODS)
def test_communities_are_numbered_by_size_and_a_lone_cluster_has_none(method):
    weights, _ = planted([4, 8, 6])
    weights = torch.where(weights < 1, 0.0, weights)
    weights = torch.nn.functional.pad(weights, (1, 0, 1, 0))  # cluster 0 has no edge
    found = detect_communities(weights, method)
    assert found.tolist() == [-1] + [2] * 4 + [0] * 8 + [1] * 6
    assert found.dtype == torch.int64


@pytest.mark.parametrize("method", METHODS)
def test_the_diagonal_is_not_read(method):
    weights, _ = planted([5, 4])
    expected = detect_communities(weights, method)
    assert torch.equal(detect_communities(weights.fill_diagonal_(9), method), expected)
    assert detect_communities(torch.eye(2), method).tolist() == [-1, -1]
    assert weights[0, 0] == 9


def test_rounding_is_not_taken_for_direction():
    weights = torch.tensor([[0, 0.1], [0.1 + 1e-9, 0]], dtype=torch.float64)
    assert detect_communities(weights).tolist() == [0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_no_edge_at_all(method):
    assert detect_communities(torch.zeros(3, 3), method).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("method", METHODS)
def test_one_community(method):
    weights, _ = planted([6])
    assert detect_communities(weights, method).tolist() == [0] * 6


def test_markov_time_and_resolution_set_the_scale():
    ring = torch.from_numpy(nx.to_numpy_array(nx.watts_strogatz_graph(60, 6, 0.1, seed=0)))

    def number(**settings) -> int:
        return int(detect_communities(ring, **settings).max()) + 1

    assert number(markov_time=0.5) > number(markov_time=3)
    assert number(method="louvain", resolution=4) > number(method="louvain", resolution=0.2)


def test_preferred_number_of_communities_is_heeded(reference):
    free = detect_communities(reference["weights"], num_trials=5)
    held = detect_communities(reference["weights"], num_trials=5, preferred_communities=6)
    assert (int(free.max()) + 1, int(held.max()) + 1) == (7, 6)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_repeats(method, reference):
    first, second = (detect_communities(reference["weights"], method, seed=0) for _ in range(2))
    assert torch.equal(first, second)


def test_graph():
    graph = cluster_graph(torch.tensor([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]))
    assert list(graph.nodes) == [0, 1, 2]
    assert list(graph.edges(data="weight")) == [(0, 1, 0.5)]


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        (torch.zeros(2, 3), {}, r"weights must be \[K, K\], got shape \[2, 3\]"),
        (torch.tensor([[0, 1.0], [2.0, 0]]), {}, "must be symmetric, got 1 from 0 to 1 and 2 back"),
        (torch.tensor([[0, -1.0], [-1.0, 0]]), {}, r"weights\[0, 1\] is -1.0"),
        (torch.tensor([[0, torch.nan], [torch.nan, 0]]), {}, r"weights\[0, 1\] is nan"),
        (torch.zeros(2, 2), {"method": "leiden"}, "'infomap' or 'louvain', got 'leiden'"),
        (torch.zeros(2, 2), {"markov_time": 0}, "must be positive, got 0 and 1.0"),
        (torch.zeros(2, 2), {"resolution": -1.0}, "must be positive, got 1.0 and -1.0"),
        (torch.zeros(2, 2), {"preferred_communities": 0}, "preferred_communities must be at least"),
        (torch.zeros(2, 2), {"num_trials": 0}, "num_trials must be at least 1, got 0"),
        (torch.zeros(2, 2), {"seed": -1}, "seed must lie in 0 …"),
    ],
)
def test_bad_input(weights, settings, message):
    with pytest.raises(ValueError, match=message):
        detect_communities(weights, **settings)


def test_bad_edges():
    with pytest.raises(ValueError, match=r"threshold must be at least 0, got -0\.1"):
        mutual_edges(torch.zeros(2, 2), -0.1)
    with pytest.raises(ValueError, match=r"cooccurrence must be \[K, K\]"):
        mutual_edges(torch.zeros(2), 0.1)


def test_faiss_and_infomap_live_in_one_process():
    """Both are SWIG modules, and share the types of their iterators; faiss comes first here."""
    code = (
        "import faiss, torch\n"
        "from leopart_kit.clustering import detect_communities\n"
        "faiss.Kmeans(4, 2, verbose=False).train(torch.rand(100, 4).numpy())\n"
        "weights = torch.block_diag(*[torch.ones(20, 20)] * 5).fill_diagonal_(0)\n"
        "for seed in range(50):\n"
        "    assert detect_communities(weights, seed=seed).max() == 4\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
