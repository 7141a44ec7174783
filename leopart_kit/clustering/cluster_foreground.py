"""Cluster-based foreground extraction: a noisy mask per image becomes a choice of clusters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

# Pixels counted at a time.
_BLOCK = 1 << 22


def cluster_precision(cluster_maps: Tensor, foreground: Tensor, num_clusters: int) -> Tensor:
    """Share of each cluster that lies in the foreground, averaged over images that contain it.

    In an image, the precision of a cluster is the share of its pixels that are foreground. Every
    image counts alike, however many pixels the cluster has there.

    Args:
        cluster_maps: `[N, h, w]`, ids below K; a negative id marks a pixel without a cluster.
        foreground: `[N, h, w]`, bool or 0 and 1: the noisy masks, such as `attention_foreground`
            gives, at the size of the maps.
        num_clusters: K.

    Returns:
        float64 `[K]`, fractions; NaN for a cluster that never occurs.

    Raises:
        ValueError: shapes differ or are not `[N, h, w]`, an id of K or more, or a foreground value
            other than 0 and 1 (named).

    Source: Ziegler and Asano (Leopart), CVPR 2022, fully unsupervised segmentation.
    """
    total = torch.zeros(num_clusters, dtype=torch.float64)
    num_images = torch.zeros(num_clusters, dtype=torch.int64)
    for pixels, inside in _counts_by_image(cluster_maps, foreground, num_clusters):
        total += (inside.double() / pixels.clamp(min=1)).sum(dim=0)
        num_images += (pixels > 0).sum(dim=0)
    return total / num_images  # 0 / 0 is NaN


def foreground_clusters(precision: Tensor, threshold: float) -> Tensor:
    """Clusters whose precision reaches the threshold: bool `[K]`; an absent cluster (NaN) is out.

    Source: Ziegler and Asano (Leopart), CVPR 2022, fully unsupervised segmentation.
    """
    return precision >= threshold


def threshold_candidates(
    precision: Tensor, background_shares: tuple[float, float] = (0.55, 0.75), step: float = 0.05
) -> list[float]:
    """Thresholds among which the paper chooses by ground truth: the search needs train labels.

    They lie between the cuts that send 55 % and 75 % of the clusters to the background, and are
    rounded to 0.05.

    Args:
        precision: `[K]`; NaN (a cluster that never occurs) does not count.
        background_shares: smallest and largest share of the clusters below the threshold.
        step: distance of two thresholds.

    Returns:
        rising thresholds, at least one.

    Raises:
        ValueError: no precision, shares that are not rising within 0 … 1, or a step not above 0.

    Source: Ziegler and Asano (Leopart), CVPR 2022, and its released code.
    """
    low, high = background_shares
    if not 0 <= low <= high <= 1 or not step > 0:
        raise ValueError(
            f"background_shares must rise within 0 … 1 and step be positive, got "
            f"{background_shares} and {step}"
        )
    values = _occurring(precision).numpy()
    first, last = np.round(np.quantile(values, [low, high]) / step).astype(int)
    return [round(float(multiple * step), 10) for multiple in range(first, last + 1)]


def label_free_threshold(precision: Tensor) -> float:
    """The threshold that parts the precisions into two groups best (Otsu 1979); no label involved.

    Clusters of objects and of background make two groups of precisions. The threshold is where the
    variance between the groups is largest, every cluster counting alike. The agreement of the
    clusters kept with the noisy masks is no better guide. The masks hold the most attended parts of
    objects, so it rewards leaving the other parts out.

    Args:
        precision: `[K]`; NaN (a cluster that never occurs) does not count.

    Returns:
        the smallest precision of the upper group; if all are equal, that one.

    Raises:
        ValueError: no precision.
    """
    values = _occurring(precision).sort().values.numpy()
    splits = np.flatnonzero(np.diff(values)) + 1  # clusters in the lower group
    if splits.size == 0:
        return float(values[0])
    below = np.cumsum(values)[splits - 1]
    lower, upper = below / splits, (values.sum() - below) / (values.size - splits)
    between = splits * (values.size - splits) * (upper - lower) ** 2
    return float(values[splits[between.argmax()]])


def _occurring(precision: Tensor) -> Tensor:
    """float64 precisions of the clusters that occur."""
    values = precision[~precision.isnan()].double()
    if not len(values):
        raise ValueError("every precision is NaN: no cluster occurs in the maps")
    return values


def _counts_by_image(
    cluster_maps: Tensor, foreground: Tensor, num_clusters: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels of each image and cluster, all and in the foreground: int64 `[n, K]`, in blocks."""
    if cluster_maps.ndim != 3 or cluster_maps.shape != foreground.shape:
        raise ValueError(
            "cluster_maps and foreground must both be [N, h, w], got "
            f"{list(cluster_maps.shape)} and {list(foreground.shape)}"
        )
    if cluster_maps.is_floating_point() or foreground.is_floating_point():
        raise ValueError(
            "cluster_maps must hold integer ids and foreground be bool or integer, got "
            f"{cluster_maps.dtype} and {foreground.dtype}"
        )
    size = max(1, _BLOCK // max(cluster_maps[0].numel(), num_clusters)) if len(cluster_maps) else 1
    for maps, masks in zip(cluster_maps.split(size), foreground.split(size), strict=True):
        ids, marks = maps.flatten(1).long().cpu(), masks.flatten(1).long().cpu()
        if ids.numel() == 0:
            continue
        if ids.max() >= num_clusters:
            raise ValueError(
                f"cluster_maps holds id {ids.max()}: valid ids are 0 to {num_clusters - 1}, and "
                "negative ids are ignored"
            )
        if marks.min() < 0 or marks.max() > 1:
            wrong = marks.min() if marks.min() < 0 else marks.max()
            raise ValueError(f"foreground holds {wrong}: it must be bool or hold 0 and 1")
        # Ignored pixels are one more cluster, dropped after the count.
        ids = torch.where(ids < 0, num_clusters, ids)
        rows = torch.arange(len(ids))[:, None] * (num_clusters + 1)
        codes = 2 * (rows + ids) + marks
        counts = torch.bincount(codes.flatten(), minlength=2 * len(ids) * (num_clusters + 1))
        counts = counts.view(len(ids), num_clusters + 1, 2)[:, :num_clusters]
        yield counts.sum(dim=2), counts[..., 1]
