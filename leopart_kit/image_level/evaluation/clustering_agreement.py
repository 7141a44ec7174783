"""Agreement of two partitions: mutual information, Rand index, accuracy after matching."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from leopart_kit.metrics import match_hungarian, match_many_to_one
from leopart_kit.metrics.agreement import adjusted_rand_index, normalized_mutual_information


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
