"""From joint counts: the class of each cluster, the scores that follow, their spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

RuleFamily = Literal["hungarian", "many_to_one"]
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


@dataclass(frozen=True)
class SegmentationScores:
    """Scores of one prediction, rates in percent.

    A class with an empty union (in neither ground truth nor prediction, `tp + fp + fn == 0`) has
    IoU 0, as in the released Leopart evaluation: it lowers `miou`, not the other two means.

    Attributes:
        miou: mean IoU over all C classes.
        miou_present: mean IoU over the classes that occur in the ground truth.
        miou_union: mean IoU over the classes with a non-empty union (STEGO, PiCIE).
        iou: float64 `[C]`.
        pixel_accuracy: share of labelled pixels with the right class.
        tp, fp, fn: int64 `[C]`, pixels.
    """

    miou: float
    miou_present: float
    miou_union: float
    iou: Tensor
    pixel_accuracy: float
    tp: Tensor
    fp: Tensor
    fn: Tensor


def segmentation_scores(
    counts: Tensor | np.ndarray, cluster_to_class: Tensor | np.ndarray
) -> SegmentationScores:
    """Scores of cluster maps once each cluster stands for a class.

    >>> counts = torch.tensor([[8, 0, 2], [0, 5, 5]])
    >>> scores = segmentation_scores(counts, torch.tensor([0, 1, 1]))
    >>> round(scores.miou, 2), scores.pixel_accuracy
    (81.67, 90.0)

    Args:
        counts: `[C, K]` pixels of class c in cluster k.
        cluster_to_class: `[K]` class of each cluster; -1 is wrong everywhere: its pixels are
            missed by their class and held against no other.

    Raises:
        ValueError: malformed counts or matching, or no labelled pixel at all.
    """
    table = check_counts(counts)
    num_classes = table.shape[0]
    mapping = check_matching(cluster_to_class, num_classes, table.shape[1])
    if table.sum() == 0:
        raise ValueError("counts are all 0: there is no labelled pixel to score")
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    matched = mapping >= 0
    np.add.at(confusion.T, mapping[matched], table.T[matched])
    tp = confusion.diagonal().copy()
    fp = confusion.sum(axis=0) - tp
    fn = table.sum(axis=1) - tp
    union = tp + fp + fn
    iou = 100.0 * tp / np.maximum(union, 1)
    return SegmentationScores(
        miou=float(iou.mean()),
        miou_present=float(iou[tp + fn > 0].mean()),
        miou_union=float(iou[union > 0].mean()),
        iou=torch.from_numpy(iou),
        pixel_accuracy=float(100.0 * tp.sum() / table.sum()),
        tp=torch.from_numpy(tp),
        fp=torch.from_numpy(fp),
        fn=torch.from_numpy(fn),
    )


def check_matching(
    cluster_to_class: Tensor | np.ndarray, num_classes: int, num_clusters: int
) -> np.ndarray:
    """A matching as an int64 array `[K]`.

    Raises:
        ValueError: wrong length, not integer, or a class outside -1 … C - 1 (named).
    """
    if isinstance(cluster_to_class, Tensor):
        cluster_to_class = cluster_to_class.detach().cpu().numpy()
    mapping = np.asarray(cluster_to_class)
    if mapping.shape != (num_clusters,) or mapping.dtype.kind not in "iu":
        raise ValueError(
            f"cluster_to_class must hold one integer for each of {num_clusters} clusters, got "
            f"{mapping.dtype} {list(mapping.shape)}"
        )
    wrong = mapping[(mapping < -1) | (mapping >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"cluster_to_class holds class {wrong[0]}: valid are -1 to {num_classes - 1}"
        )
    return mapping.astype(np.int64)


def summarize(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation of one metric over seeds.

    The deviation has n - 1 in the denominator, the spread to expect of one more seed, where
    `numpy.std` has n. It is 0 for a single seed, which says nothing about the spread.

    Raises:
        ValueError: no value, or a value that is not finite (its position is named).
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("values is empty: give the metric of at least one seed")
    broken = np.flatnonzero(~np.isfinite(array))
    if broken.size:
        raise ValueError(
            f"value {broken[0]} is {array[broken[0]]}: every seed needs a finite score"
        )
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 else 0.0


@dataclass(frozen=True)
class Match:
    """Classes of clusters with the scores that they give.

    Attributes:
        cluster_to_class: int64 `[K]`.
        scores: see `SegmentationScores`, rates in percent.
        counts: int64 `[C, K]`, pixels of class c in cluster k.
    """

    cluster_to_class: Tensor
    scores: SegmentationScores
    counts: Tensor


def match_counts(counts: Tensor, rule: RuleFamily | None = None, unmatched: int = 0) -> Match:
    """Classes for clusters, and the scores.

    Args:
        counts: int64 `[C, K]`.
        rule: `hungarian`, one cluster a class by IoU; `many_to_one`, each cluster its class of
            highest precision. By default the former for K = C or fewer, as papers do.
        unmatched: class of the clusters that are left over; -1 is wrong everywhere.

    Raises:
        ValueError: no pixel that counts, or a rule that there is not.
    """
    num_classes, num_clusters = counts.shape
    if rule is None:
        rule = "hungarian" if num_clusters <= num_classes else "many_to_one"
    if rule == "hungarian":
        classes = match_hungarian(counts, unmatched=unmatched)
    elif rule == "many_to_one":
        classes = match_many_to_one(counts)
    else:
        raise ValueError(f"unknown rule {rule!r}; choose hungarian or many_to_one")
    return Match(classes, segmentation_scores(counts, classes), counts)
