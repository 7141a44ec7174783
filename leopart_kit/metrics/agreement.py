"""Agreement of two partitions by their joint counts alone: mutual information, Rand index."""

from __future__ import annotations

import numpy as np


def normalized_mutual_information(counts: np.ndarray) -> float:
    """Mutual information over the mean of the two entropies, 0 to 1; 1 if both are zero.

    Source: Strehl & Ghosh 2002, with the arithmetic mean in place of the geometric one, as in
    scikit-learn.
    """
    joint = counts / counts.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    mean_entropy = (_entropy(rows) + _entropy(columns)) / 2
    if mean_entropy == 0:
        return 1.0
    mutual = _entropy(rows) + _entropy(columns) - _entropy(joint.ravel())
    return float(np.clip(mutual / mean_entropy, 0, 1))


def adjusted_rand_index(counts: np.ndarray) -> float:
    """Agreement over pairs of items, corrected for chance: 1 for equal, 0 on average for random.

    Source: Hubert & Arabie 1985.
    """
    together = _pairs(counts).sum()
    in_rows, in_columns = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    pairs = _pairs(counts.sum())
    expected = in_rows * in_columns / pairs if pairs else 0.0
    largest = (in_rows + in_columns) / 2
    if largest == expected:  # one cluster and one class, or every image alone in both
        return 1.0
    return float((together - expected) / (largest - expected))


def _entropy(shares: np.ndarray) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _pairs(counts: np.ndarray) -> np.ndarray:
    numbers = np.asarray(counts, dtype=np.float64)
    return numbers * (numbers - 1) / 2
