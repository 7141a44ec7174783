"""Agreement of two partitions: mutual information, Rand index, accuracy after matching."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leopart_kit.metrics import match_hungarian, match_many_to_one


class Agreement(NamedTuple):
    """Agreement of clusters with classes in percent; see the functions of this module."""

    accuracy: float
    purity: float
    nmi: float
    ari: float


def contingency(
    labels: np.ndarray, clusters: np.ndarray, num_classes: int, num_clusters: int
) -> np.ndarray:
    """Images of class c in cluster k, int64 `[C, K]`.

    Raises:
        ValueError: no image, different lengths, or an id out of range.
    """
    if labels.shape != clusters.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"labels and clusters must be [N] with N of 1 or more, got {list(labels.shape)} and "
            f"{list(clusters.shape)}"
        )
    for what, ids, number in (("class", labels, num_classes), ("cluster", clusters, num_clusters)):
        if ids.min() < 0 or ids.max() >= number:
            raise ValueError(f"{what} ids must lie in [0, {number}), got {ids.min()} … {ids.max()}")
    counts = np.bincount(labels * num_clusters + clusters, minlength=num_classes * num_clusters)
    return counts.reshape(num_classes, num_clusters).astype(np.int64)


def agreement(counts: np.ndarray) -> Agreement:
    """All four figures of joint counts `[C, K]`, in percent.

    `accuracy` is the share of images in the cluster that Hungarian matching gives to their class
    (one cluster a class, the others wrong); `purity` the share in the majority class of their
    cluster, which more clusters always raise.
    """
    total = counts.sum()
    figures = []
    for matched in (match_hungarian(counts, "count", unmatched=-1), match_many_to_one(counts)):
        classes = matched.numpy()
        columns = np.flatnonzero(classes >= 0)
        figures.append(counts[classes[columns], columns].sum() / total)
    return Agreement(
        *(100 * float(value) for value in figures),
        nmi=100 * normalized_mutual_information(counts),
        ari=100 * adjusted_rand_index(counts),
    )


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
    """Agreement over pairs of images, corrected for chance: 1 for equal, 0 on average for random.

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
