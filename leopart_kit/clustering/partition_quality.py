"""Quality of a partition without labels: its fit to the graph, and its stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.communities import check_weights


@dataclass(frozen=True)
class PartitionQuality:
    """Fit of communities to the graph they were found in.

    Attributes:
        modularity: weight inside communities beyond what the strengths of the nodes predict, as a
            share of all weight (Newman 2004); below 1, 0 for a single community.
        codelength: bits a step of a random walk, described by the two-level map equation (Rosvall
            & Bergstrom 2008); smaller is better.
        codelength_saving: share saved against one community of all nodes; 0 there, negative where
            the communities cost more than they save.
        num_communities: communities with at least one cluster.
    """

    modularity: float
    codelength: float
    codelength_saving: float
    num_communities: int


def partition_quality(
    weights: Tensor, communities: Tensor, *, markov_time: float = 1.0
) -> PartitionQuality:
    """Scores communities on their graph; no label is involved.

    Args:
        weights: symmetric `[K, K]`, as for `detect_communities`.
        communities: int64 `[K]`; -1 only for a cluster without an edge.
        markov_time: scales the rate of leaving a community, as in the search.

    Returns:
        the scores, all 0 for a graph without an edge.

    Raises:
        ValueError: malformed weights, a markov_time that is not positive, or communities that are
            not `[K]` or leave out a cluster that has an edge (named).
    """
    symmetric = check_weights(weights)
    labels = communities.detach().cpu().numpy()
    if labels.shape != (len(symmetric),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"communities must hold one integer for each of {len(symmetric)} clusters, got "
            f"{labels.dtype} {list(labels.shape)}"
        )
    if not 0 < markov_time < np.inf:
        raise ValueError(f"markov_time must be positive, got {markov_time}")
    connected = symmetric.any(axis=1)
    left_out = np.flatnonzero(connected & (labels < 0))
    if left_out.size:
        raise ValueError(f"cluster {left_out[0]} has edges but no community (-1)")
    if not connected.any():
        return PartitionQuality(0.0, 0.0, 0.0, 0)
    members, num_communities = _members(labels[connected])
    flow = symmetric[np.ix_(connected, connected)] / symmetric.sum()
    visits = flow.sum(axis=1)
    community_visits = members @ visits
    inside = ((members @ flow) * members).sum(axis=1)
    leaving = np.maximum(community_visits - inside, 0) * markov_time
    one_level = -_plogp(visits)
    codelength = float(
        _plogp(leaving.sum()) - 2 * _plogp(leaving) + one_level + _plogp(leaving + community_visits)
    )
    return PartitionQuality(
        modularity=float((inside - community_visits**2).sum()),
        codelength=codelength,
        codelength_saving=float(1 - codelength / one_level),
        num_communities=num_communities,
    )


def partition_stability(partitions: Sequence[Tensor] | Tensor) -> float:
    """Agreement of partitions of the same clusters: mean adjusted Rand index over all pairs.

    1 for equal partitions, about 0 for independent ones (Hubert & Arabie 1985). Clusters in no
    community (-1) in both partitions of a pair are left out of it. A cluster in none in one of them
    stands alone there. A pair of which nothing is left agrees on nothing: 0.

    A partition into one community is always stable, so weigh stability against quality.

    Args:
        partitions: at least two, int64 `[K]` each, or `[S, K]`: from resampled images or seeds.

    Raises:
        ValueError: fewer than two partitions, or partitions of different length.
    """
    rows = [torch.as_tensor(partition).detach().cpu().numpy() for partition in partitions]
    if len(rows) < 2:
        raise ValueError(f"stability compares at least 2 partitions, got {len(rows)}")
    if any(row.shape != rows[0].shape or row.ndim != 1 for row in rows):
        raise ValueError(
            f"partitions must hold the same clusters [K], got {[list(row.shape) for row in rows]}"
        )
    return float(np.mean([_adjusted_rand(*pair) for pair in combinations(rows, 2)]))


def _adjusted_rand(first: np.ndarray, second: np.ndarray) -> float:
    grouped = (first >= 0) | (second >= 0)
    if not grouped.any():
        return 0.0
    first_members, _ = _members(_alone(first[grouped]))
    second_members, _ = _members(_alone(second[grouped]))
    both = _pairs(first_members @ second_members.T)
    in_first, in_second = _pairs(first_members.sum(axis=1)), _pairs(second_members.sum(axis=1))
    all_pairs = _pairs(np.array([grouped.sum()]))
    expected = in_first * in_second / all_pairs if all_pairs else 0.0
    largest = (in_first + in_second) / 2
    # Both all together or both all apart: equal, and no chance is left to adjust for.
    return 1.0 if largest == expected else float((both - expected) / (largest - expected))


def _alone(labels: np.ndarray) -> np.ndarray:
    """Gives every -1 a community of its own."""
    return np.where(labels < 0, labels.max(initial=0) + 1 + np.arange(labels.size), labels)


def _members(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Indicator of the communities, float64 `[communities, K]`, and their number."""
    present, members = np.unique(labels, return_inverse=True)
    return np.eye(present.size)[:, members], present.size


def _pairs(counts: np.ndarray) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _plogp(probabilities: np.ndarray) -> float:
    """Sum of p log2 p, with 0 log 0 = 0."""
    values = np.atleast_1d(probabilities)
    values = values[values > 0]
    return float((values * np.log2(values)).sum())
