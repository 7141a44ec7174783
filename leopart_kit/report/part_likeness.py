"""Likeness of parts by their mean features: an order of all, and the pairs that may be one."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist

_EXACT = 600  # parts up to which the order is the best one; it takes half a second
_NEAREST = 2  # partners of a part among the pairs
_LEAST = 0.5  # likeness below which nobody takes two parts for one


def alike_order(features: np.ndarray) -> list[int]:
    """An order in which alike parts lie side by side, the first part near its beginning.

    Leaves of an average-linkage tree by cosine, turned so that neighbours are as alike as they can
    be (Bar-Joseph et al. 2001).

    Args:
        features: `[n, d]`, the mean feature of each part, the largest part first.
    """
    unit = _directions(features)
    if len(unit) < 3:
        return list(range(len(unit)))
    distances = pdist(unit)
    tree = linkage(distances, "average")
    if len(unit) <= _EXACT:
        tree = optimal_leaf_ordering(tree, distances)
    order = leaves_list(tree).tolist()
    return order if order.index(0) < len(order) / 2 else order[::-1]


def alike_pairs(features: np.ndarray) -> list[tuple[int, int, float]]:
    """The most alike parts `(a, b, cosine)` with a < b, the most alike first.

    A pair is there if one of the two is among the two parts most alike the other. The cosine is
    of the features less their mean, which all of them share.
    """
    unit = _directions(features)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    pairs = set()
    for part, row in enumerate(likeness):
        for other in np.argsort(-row, kind="stable")[:_NEAREST].tolist():
            if row[other] >= _LEAST:
                pairs.add((min(part, other), max(part, other)))
    found = [(a, b, float(likeness[a, b])) for a, b in pairs]
    return sorted(found, key=lambda pair: (-pair[2], pair[:2]))


def _directions(features: np.ndarray) -> np.ndarray:
    """Features less their mean, at length 1; those without a direction at 0."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(lengths > 1e-9, centred / np.maximum(lengths, 1e-9), 0)
