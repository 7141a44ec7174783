"""An order of the nodes of a weighted graph that depends on the graph alone."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


def canonical_order(weights: np.ndarray) -> np.ndarray:
    """Sorts nodes by their place in the graph, whatever order they come in.

    Nodes are sorted by falling strength, the sum of their edge weights: all that modularity and the
    map equation read of a node by itself. Nodes that tie are told apart by their edges to those
    that are told apart already, again and again (colour refinement, Weisfeiler & Leman 1968). Nodes
    that still tie are told apart by what the graph looks like from each of them. If some still tie,
    one of them is put first, and the refinement goes on from there. So the given order decides only
    among nodes in the same surroundings: as a rule those that a symmetry of the graph exchanges.

    Args:
        weights: symmetric `[K, K]`, >= 0; 0 is no edge.

    Returns:
        int64 `[K]`, node ids in order.
    """
    # Sorted before they are summed: rounding must not depend on the order of the nodes either.
    colours = _rank(-np.sort(weights, axis=1).sum(axis=1))
    if _all_differ(colours):
        return np.argsort(colours)
    # A random number for each weight: their sum, which wraps around, stands for a multiset.
    values, levels = np.unique(weights, return_inverse=True)
    marks = np.random.default_rng(0).integers(1 << 63, size=values.size, dtype=np.uint64)
    edges = np.where(values > 0, marks, 0)[levels.reshape(weights.shape)]
    colours = _refine(edges, colours, _members(colours))
    colours = _rank_pairs(colours, _views(edges, colours))
    colours = _refine(edges, colours, _members(colours))
    while (tied := np.flatnonzero(np.bincount(colours) > 1)).size:
        first = np.flatnonzero(colours == tied[0])[:1]
        colours = 2 * colours + 1
        colours[first] -= 1
        colours = _refine(edges, _rank(colours), [first])
    return np.argsort(colours)


def _refine(edges: np.ndarray, colours: np.ndarray, splitters: list[np.ndarray]) -> np.ndarray:
    """Splits colours by the edges to each set of nodes, and to every colour that a split makes."""
    while splitters and not _all_differ(colours):
        around = edges[:, splitters.pop(0)].sum(axis=1)
        refined = _rank_pairs(colours, around)
        parts = _members(refined)
        num_parts = np.bincount([colours[part[0]] for part in parts])
        splitters += [part for part in parts if num_parts[colours[part[0]]] > 1]
        colours = refined
    return colours


def _views(edges: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A number for what the graph looks like from each node that ties, uint64 `[K]`, 0 for others.

    The node is marked, and the colours are refined until none splits any more. Colour refinement
    without a mark takes a node in a ring of six for one in a ring of three.
    """
    tied = np.flatnonzero(np.bincount(colours)[colours] > 1)
    seen = np.repeat(_scrambled(colours.astype(np.uint64))[:, None], tied.size, axis=1)
    seen[tied, np.arange(tied.size)] ^= np.uint64(1)
    links, before, now = csr_array(edges), 0, np.unique(seen).size
    while now > before:
        seen = _scrambled(np.uint64(3) * seen + links @ seen)
        before, now = now, np.unique(seen).size
    views = np.zeros(len(colours), dtype=np.uint64)
    views[tied] = seen.sum(axis=0)
    return views


def _scrambled(values: np.ndarray) -> np.ndarray:
    """A random number for each number, always the same: SplitMix64 (Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _rank_pairs(colours: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Colours split by a value of each node; the order of the colours stays."""
    order = np.lexsort((values, colours))
    steps = (np.diff(colours[order]) != 0) | (np.diff(values[order]) != 0)
    ranks = np.empty_like(colours)
    ranks[order] = np.concatenate([[0], np.cumsum(steps)])
    return ranks


def _rank(values: np.ndarray) -> np.ndarray:
    """Position of each value among the different values, from 0."""
    return np.unique(values, return_inverse=True)[1]


def _members(colours: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(colours, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(colours[order])) + 1)


def _all_differ(colours: np.ndarray) -> bool:
    return colours.max(initial=-1) + 1 == len(colours)
