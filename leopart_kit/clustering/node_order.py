"""An order of the nodes of a weighted graph that depends on the graph alone."""

from __future__ import annotations

import numpy as np


def canonical_order(weights: np.ndarray) -> np.ndarray:
    """Sorts nodes by their place in the graph, whatever order they come in.

    Nodes are sorted by the falling sum of their squared edge weights. Nodes that tie are told apart
    by their edges to those that are told apart already, again and again (colour refinement,
    Weisfeiler & Leman 1968). If some still tie, one of them is put first, and the refinement goes
    on from there. So the given order decides only among nodes in the same surroundings: as a rule
    those that a symmetry of the graph exchanges.

    Args:
        weights: symmetric `[K, K]`.

    Returns:
        int64 `[K]`, node ids in order.
    """
    # Sorted before they are summed: rounding must not depend on the order of the nodes either.
    # Any such key would do; with this one, seed 1 repeats the partition of the reference figures.
    colours = _rank(-np.square(np.sort(weights, axis=1)).sum(axis=1))
    if colours.max(initial=-1) + 1 == len(weights):
        return np.argsort(colours)
    # A random number for each weight: their sum, which wraps around, stands for a multiset.
    values, levels = np.unique(weights, return_inverse=True)
    marks = np.random.default_rng(0).integers(1 << 63, size=values.size, dtype=np.uint64)
    edges = marks[levels.reshape(weights.shape)]
    colours = _refine(edges, colours, [np.flatnonzero(colours == c) for c in np.unique(colours)])
    while (tied := np.flatnonzero(np.bincount(colours) > 1)).size:
        first = np.flatnonzero(colours == tied[0])[:1]
        colours = 2 * colours + 1
        colours[first] -= 1
        colours = _refine(edges, _rank(colours), [first])
    return np.argsort(colours)


def _refine(edges: np.ndarray, colours: np.ndarray, splitters: list[np.ndarray]) -> np.ndarray:
    """Splits colours by the edges to each set of nodes, and to every colour that a split makes."""
    while splitters and colours.max() + 1 < len(colours):
        around = edges[:, splitters.pop(0)].sum(axis=1)
        order = np.lexsort((around, colours))
        steps = (np.diff(colours[order]) != 0) | (np.diff(around[order]) != 0)
        refined = np.empty_like(colours)
        refined[order] = np.concatenate([[0], np.cumsum(steps)])
        parts = np.split(order, np.flatnonzero(steps) + 1)
        num_parts = np.bincount([colours[part[0]] for part in parts])
        splitters += [part for part in parts if num_parts[colours[part[0]]] > 1]
        colours = refined
    return colours


def _rank(values: np.ndarray) -> np.ndarray:
    """Position of each value among the different values, from 0."""
    return np.unique(values, return_inverse=True)[1]
