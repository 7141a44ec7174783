"""Segmentation scores from joint counts and a matching, and their spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from leopart_kit.metrics.matching import check_counts


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
