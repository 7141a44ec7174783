"""Communities of clusters that occur together: from parts to objects without a label."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import infomap
import networkx as nx
import numpy as np
import torch
from community import best_partition
from torch import Tensor

from leopart_kit.clustering.node_order import canonical_order

_LARGEST_SEED = 2**31 - 1
# Edges that all searches may pass over together, and the most searches: about a second. Where every
# search ends elsewhere, a fresh one beats the best of n with a chance of 1 in n + 1.
_EFFORT = {"infomap": (1_000_000, 300), "louvain": (30_000, 100)}
_FEWEST_TRIALS = 10


def mutual_edges(cooccurrence: Tensor, threshold: float) -> Tensor:
    """Symmetric weights: an edge where both directions reach the threshold, the smaller one counts.

    Args:
        cooccurrence: `[K, K]`, directed; the diagonal is not read.
        threshold: at least 0. A pair that never meets has no edge at threshold 0 either.

    Returns:
        float64 `[K, K]`, 0 where there is no edge.

    Raises:
        ValueError: not square, a value that is negative or not finite, or a negative threshold.

    Source: Ziegler and Asano (Leopart), CVPR 2022, fully unsupervised segmentation.
    """
    if not threshold >= 0:
        raise ValueError(f"the edge threshold must be at least 0, got {threshold}")
    directed = _check_square(cooccurrence, "cooccurrence")
    smaller = np.minimum(directed, directed.T)
    weights = np.where(smaller >= threshold, smaller, 0.0)
    np.fill_diagonal(weights, 0)
    return torch.from_numpy(weights)


def cluster_graph(weights: Tensor) -> nx.Graph:
    """The undirected graph of the clusters: nodes 0 … K - 1, an edge with `weight` where it is > 0.

    Raises:
        ValueError: as `detect_communities`.
    """
    symmetric = check_weights(weights)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(symmetric)))
    sources, targets = np.nonzero(np.triu(symmetric))
    graph.add_weighted_edges_from(
        zip(sources.tolist(), targets.tolist(), symmetric[sources, targets].tolist(), strict=True)
    )
    return graph


def detect_communities(
    weights: Tensor,
    method: Literal["infomap", "louvain"] = "infomap",
    *,
    seed: int = 0,
    markov_time: float = 1.0,
    resolution: float = 1.0,
    preferred_communities: int | None = None,
    num_trials: int | None = None,
) -> Tensor:
    """Groups clusters that are connected more strongly with each other than with the rest.

    Both methods search at random, and a single search may end far from the best partition: the best
    of several is taken. The answer does not depend on the order of the clusters: they are first
    sorted by their place in the graph (`canonical_order`).

    On one core, with 8 neighbours a cluster, Infomap takes 0.2 s for 150 clusters and 2 s for
    1,000, Louvain 1 s and 2 s. With an edge between any two of 500 it is 1 s and 20 s.

    Args:
        weights: symmetric `[K, K]`, >= 0, 0 for no edge; the diagonal is not read.
        method: `infomap`, the map equation on undirected flow with two levels (Rosvall & Bergstrom
            2008); or `louvain`, modularity (Blondel et al. 2008).
        seed: of the first search; the others follow from it.
        markov_time: of Infomap alone; larger gives larger communities (Kheirkhahzadeh et al. 2016).
        resolution: of Louvain alone; larger gives smaller communities (Reichardt & Bornholdt 2006).
        preferred_communities: of Infomap alone; each community more or fewer costs one bit.
        num_trials: searches, of which the best counts: by codelength with the cost of
            `preferred_communities`, or by modularity at the resolution. Louvain is searched so
            often by each of two implementations. If None, 10 to 300 of Infomap or 10 to 100 of
            Louvain, more where the graph has fewer edges.

    Returns:
        int64 `[K]`: communities numbered from 0 by falling number of clusters, -1 for a cluster
        without an edge.

    Raises:
        ValueError: weights that are not square, symmetric, finite and >= 0, an unknown method, or
            a setting out of range.

    Source: Ziegler and Asano (Leopart), CVPR 2022, fully unsupervised segmentation, for Infomap.
    """
    symmetric = check_weights(weights)
    if method not in _EFFORT:
        raise ValueError(f"method must be 'infomap' or 'louvain', got {method!r}")
    _check_settings(seed, markov_time, resolution, preferred_communities, num_trials)
    connected = np.flatnonzero(symmetric.any(axis=1))
    order = connected[canonical_order(symmetric[np.ix_(connected, connected)])]
    graph = cluster_graph(torch.from_numpy(symmetric[np.ix_(order, order)]))
    num_trials = num_trials or _enough_trials(method, graph.number_of_edges())
    if order.size == 0:
        found = {}
    elif method == "infomap":
        found = _infomap(graph, seed, markov_time, preferred_communities, num_trials)
    else:
        found = _louvain(graph, seed, resolution, num_trials)
    labels = np.full(len(symmetric), -1, dtype=np.int64)
    labels[order] = _numbered_by_size(np.array([found[node] for node in range(order.size)], int))
    return torch.from_numpy(labels)


def check_weights(weights: Tensor) -> np.ndarray:
    """Edge weights as a float64 array `[K, K]`, exactly symmetric and with 0 on the diagonal.

    Raises:
        ValueError: not square, a value that is negative or not finite, or directions that differ by
            more than rounding.
    """
    array = _check_square(weights, "weights")
    unequal = np.argwhere(~np.isclose(array, array.T, rtol=1e-6, atol=0))
    if unequal.size:
        i, j = unequal[0]
        raise ValueError(
            f"weights must be symmetric, got {array[i, j]:g} from {i} to {j} and {array[j, i]:g} "
            "back; mutual_edges makes edges of a directed co-occurrence"
        )
    symmetric = (array + array.T) / 2
    np.fill_diagonal(symmetric, 0)
    return symmetric


def _check_square(matrix: Tensor, name: str) -> np.ndarray:
    array = matrix.detach().cpu().double().numpy()
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be [K, K], got shape {list(array.shape)}")
    wrong = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        i, j = wrong[0]
        raise ValueError(f"{name}[{i}, {j}] is {array[i, j]}: it must be finite and not negative")
    return array


def _check_settings(
    seed: int,
    markov_time: float,
    resolution: float,
    preferred: int | None,
    num_trials: int | None,
) -> None:
    if not (0 < markov_time < math.inf and 0 < resolution < math.inf):
        raise ValueError(
            f"markov_time and resolution must be positive, got {markov_time} and {resolution}"
        )
    for name, number in (("preferred_communities", preferred), ("num_trials", num_trials)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if not 0 <= seed < _LARGEST_SEED:
        raise ValueError(f"seed must lie in 0 … {_LARGEST_SEED - 1}, got {seed}")


def _enough_trials(method: str, num_edges: int) -> int:
    edges, most = _EFFORT[method]
    return min(max(edges // max(num_edges, 1), _FEWEST_TRIALS), most)


def _infomap(
    graph: nx.Graph, seed: int, markov_time: float, preferred: int | None, num_trials: int
) -> dict[int, int]:
    network = infomap.Network()
    network.add_links(list(graph.edges(data="weight")))
    result = infomap.run(
        network,
        seed=seed or _LARGEST_SEED,  # Infomap counts from 1
        num_trials=num_trials,
        two_level=True,
        markov_time=markov_time,
        flow_model="undirected",
        preferred_number_of_modules=preferred,
    )
    # Not result.modules(): it walks C++ vectors by iterators, whose type faiss registers too. With
    # faiss imported first they are walked by its code, and the process dies.
    return result._engine._core.getModules(1, False)


def _louvain(graph: nx.Graph, seed: int, resolution: float, num_trials: int) -> dict[int, int]:
    def modularity(groups: list[set[int]]) -> float:
        return nx.community.modularity(graph, groups, resolution=resolution)

    best = max(_louvain_partitions(graph, seed, resolution, num_trials), key=modularity)
    return {node: number for number, group in enumerate(best) for node in group}


def _louvain_partitions(
    graph: nx.Graph, seed: int, resolution: float, num_trials: int
) -> Iterator[list[set[int]]]:
    """Partitions of two implementations: neither is the better one on every graph.

    Release 0.16 of python-louvain moves nodes by modularity at the resolution, but stops by another
    measure. There the resolution multiplies the edges instead of the null model. So at any
    resolution but 1 it tends to stop early, where the one of networkx goes on.
    """
    for trial in range(seed, seed + num_trials):
        groups: dict[int, set[int]] = {}
        for node, group in best_partition(graph, resolution=resolution, random_state=trial).items():
            groups.setdefault(group, set()).add(node)
        yield list(groups.values())
        yield nx.community.louvain_communities(graph, resolution=resolution, seed=trial)


def _numbered_by_size(found: np.ndarray) -> np.ndarray:
    """Communities renumbered by falling size, of equal ones the one that holds the first node."""
    _, first, members, sizes = np.unique(
        found, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(sizes.size, dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(sizes.size)
    return rank[members]
