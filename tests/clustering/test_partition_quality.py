from __future__ import annotations

import infomap
import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering.communities import cluster_graph, detect_communities, mutual_edges
from leopart_kit.clustering.partition_quality import partition_quality, partition_stability


@pytest.fixture
def weights(golden):
    arrays = golden("communities")
    return mutual_edges(torch.from_numpy(arrays["cooccurrence"]), float(arrays["edge_threshold"]))


def two_triangles() -> torch.Tensor:
    weights = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3)).fill_diagonal_(0)
    weights[2, 3] = weights[3, 2] = 1
    return weights


def test_two_triangles_by_hand():
    # 7 edges, 3 in each triangle: a half of all ends lies in each, 6/14 of the weight stays inside.
    quality = partition_quality(two_triangles(), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert quality.modularity == pytest.approx(2 * (6 / 14 - 1 / 4))
    entropy = -(4 * 2 / 14 * np.log2(2 / 14) + 2 * 3 / 14 * np.log2(3 / 14))
    leaving = 1 / 14
    codelength = (
        2 * leaving * np.log2(2 * leaving)
        - 4 * leaving * np.log2(leaving)
        + entropy
        + 2 * (leaving + 0.5) * np.log2(leaving + 0.5)
    )
    assert quality.codelength == pytest.approx(codelength)
    assert quality.codelength_saving == pytest.approx(1 - codelength / entropy)
    assert quality.num_communities == 2


@pytest.mark.parametrize("markov_time", [0.5, 1.0, 2.0])
def test_codelength_is_that_of_infomap(weights, markov_time):
    network = infomap.Network()
    network.add_links(list(cluster_graph(weights).edges(data="weight")))
    result = infomap.run(network, seed=1, two_level=True, markov_time=markov_time)
    modules = result._engine._core.getModules(1, False)  # as in _infomap, for the same reason
    communities = torch.tensor([modules.get(node, -1) for node in range(len(weights))])
    quality = partition_quality(weights, communities, markov_time=markov_time)
    assert quality.codelength == pytest.approx(result.codelength, rel=1e-9)
    assert quality.num_communities == result.num_top_modules


def test_modularity_is_that_of_networkx(weights):
    found = detect_communities(weights, "louvain")
    groups = [set((found == c).nonzero().flatten().tolist()) for c in range(int(found.max()) + 1)]
    graph = cluster_graph(weights).subgraph((found >= 0).nonzero().flatten().tolist())
    expected = nx.community.modularity(graph, groups)
    assert partition_quality(weights, found).modularity == pytest.approx(expected)


def test_one_community_saves_nothing():
    quality = partition_quality(two_triangles(), torch.zeros(6, dtype=torch.int64))
    assert quality.modularity == pytest.approx(0)
    assert quality.codelength_saving == pytest.approx(0)


def test_a_graph_without_an_edge_scores_zero():
    quality = partition_quality(torch.zeros(2, 2), torch.tensor([-1, -1]))
    assert (quality.codelength_saving, quality.num_communities) == (0, 0)


@pytest.mark.parametrize(
    ("communities", "settings", "message"),
    [
        ([0, 0, 0, 1, 1], {}, "of 6 clusters"),
        ([0, 0, 0, 1, -1, 1], {}, "cluster 4"),
        ([0, 0, 0, 1, 1, 1], {"markov_time": 0}, "markov_time"),
    ],
)
def test_bad_quality_input(communities, settings, message):
    with pytest.raises(ValueError, match=message):
        partition_quality(two_triangles(), torch.tensor(communities), **settings)


def test_stability_by_hand():
    # Pairs together: 2 in the first, 2 in the second, 1 in both, of 6; (1 - 4/6) / (2 - 4/6).
    first, second = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])
    assert partition_stability([first, second]) == pytest.approx((1 - 2 / 6) / (1.5 - 2 / 6))
    assert partition_stability([first, 5 - first]) == 1
    assert partition_stability([first, torch.tensor([0, 1, 0, 1])]) == pytest.approx(-0.5)
    third = partition_stability([first, second, first])
    assert third == pytest.approx((1 + 2 * partition_stability([first, second])) / 3)


def test_clusters_without_a_community_in_stability():
    first = torch.tensor([0, 0, 1, 1, -1, -1])
    # Left out where both have none; alone where one has none.
    assert partition_stability([first, first]) == 1
    assert partition_stability([first, torch.tensor([0, 0, 1, 1, -1, 1])]) == pytest.approx(
        partition_stability([torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 0, 1, 1, 1])])
    )
    nothing = torch.full((6,), -1)
    assert partition_stability([nothing, nothing]) == 0


def test_degenerate_partitions():
    together, apart = torch.zeros(5, dtype=torch.int64), torch.arange(5)
    assert partition_stability([together, together]) == 1
    assert partition_stability([apart, apart]) == 1
    assert partition_stability([together, apart]) == 0
    assert partition_stability([torch.tensor([0]), torch.tensor([3])]) == 1


@given(st.integers(0, 10_000))
def test_independent_partitions_agree_by_chance_only(seed):
    partitions = np.random.default_rng(seed).integers(0, 5, (4, 2000))
    assert abs(partition_stability(torch.from_numpy(partitions))) < 0.02


def test_bad_stability_input():
    with pytest.raises(ValueError, match="least 2 partitions"):
        partition_stability([torch.zeros(3)])
    with pytest.raises(ValueError, match=r"same clusters \[K\], got \[\[3\], \[2\]\]"):
        partition_stability([torch.zeros(3), torch.zeros(2)])
