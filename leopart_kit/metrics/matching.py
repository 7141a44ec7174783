"""Classes of clusters: Hungarian and many-to-one rules on joint counts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Rule = Literal["hungarian_iou", "hungarian_count", "many_to_one_precision", "many_to_one_iou"]


def match_clusters(counts: Tensor, rule: Rule, unmatched: int) -> Tensor:
    """Class of each cluster `[K]` from counts `[C, K]` by a named rule."""
    if rule.startswith("hungarian"):
        return match_hungarian(counts, "iou" if rule == "hungarian_iou" else "count", unmatched)
    return match_many_to_one(counts, "iou" if rule == "many_to_one_iou" else "precision")


def match_hungarian(
    counts: Tensor | np.ndarray,
    criterion: Literal["iou", "count"] = "iou",
    unmatched: int = 0,
) -> Tensor:
    """One cluster a class, so that the sum of the criterion over the pairs is largest.

    With criterion `iou` this is the rule of Leopart (Ziegler & Asano 2022, K = number of classes),
    with `count` the rule of PiCIE (Cho et al. 2021) and STEGO (Hamilton et al. 2022).

    Args:
        counts: `[C, K]` pixels of class c in cluster k.
        criterion: `iou` of class and cluster, or `count` of common pixels.
        unmatched: class given to the K - min(C, K) clusters left over: 0 (background, Leopart)
            or -1 (wrong everywhere: STEGO, sets without background).

    Returns:
        int64 `[K]`, class of each cluster. A cluster without pixels may be paired with a class that
        is left over; this changes no score.

    Raises:
        ValueError: malformed counts, an unknown criterion, or `unmatched` outside -1 … C - 1.
    """
    table = check_counts(counts)
    if not -1 <= unmatched < table.shape[0]:
        raise ValueError(f"unmatched must be -1 or a class below {table.shape[0]}, got {unmatched}")
    # The orientation decides ties, and each is the one of the released code.
    if criterion == "iou":
        classes, clusters = linear_sum_assignment(pairwise_iou(table), maximize=True)
    elif criterion == "count":
        clusters, classes = linear_sum_assignment(table.T, maximize=True)
    else:
        raise ValueError(f"criterion must be 'iou' or 'count', got {criterion!r}")
    cluster_to_class = np.full(table.shape[1], unmatched, dtype=np.int64)
    cluster_to_class[clusters] = classes
    return torch.from_numpy(cluster_to_class)


def match_many_to_one(
    counts: Tensor | np.ndarray,
    criterion: Literal["precision", "iou"] = "precision",
) -> Tensor:
    """Each cluster takes the class it fits best; several clusters may share a class.

    The rule of Leopart for overclustering (Ziegler & Asano 2022, K > number of classes): highest
    precision, the share of the cluster's pixels that belong to the class; or highest IoU.

    Args:
        counts: `[C, K]` pixels of class c in cluster k.
        criterion: `precision` or `iou`.

    Returns:
        int64 `[K]`, class of each cluster. Ties go to the lowest class id, hence a cluster without
        pixels to class 0, as in the released code; this changes no score.

    Raises:
        ValueError: malformed counts or an unknown criterion.
    """
    table = check_counts(counts)
    if criterion == "precision":
        # The precision of a cluster has one denominator for all classes: the count decides.
        gain: np.ndarray = table
    elif criterion == "iou":
        gain = pairwise_iou(table)
    else:
        raise ValueError(f"criterion must be 'precision' or 'iou', got {criterion!r}")
    return torch.from_numpy(gain.argmax(axis=0).astype(np.int64))


def pairwise_iou(counts: np.ndarray) -> np.ndarray:
    """IoU (fraction) of every class with every cluster, float64 `[C, K]`; 0 for an empty union."""
    union = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    return counts / np.maximum(union, 1)


def check_counts(counts: Tensor | np.ndarray) -> np.ndarray:
    """Joint counts as an int64 array `[C, K]`.

    Raises:
        ValueError: not two-dimensional, not integer, empty, or with a negative count.
    """
    table = counts.detach().cpu().numpy() if isinstance(counts, Tensor) else np.asarray(counts)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"counts must be [classes, clusters], got shape {list(table.shape)}")
    if table.dtype.kind not in "iu":
        raise ValueError(f"counts must be integers, got {table.dtype}")
    if table.min() < 0:
        raise ValueError(f"counts must not be negative, got {table.min()}")
    return table.astype(np.int64)
