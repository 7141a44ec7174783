"""Cluster-based foreground extraction (CBFE) over the images of one or more feature stores.

The attention of each image is a noisy guess. Patches are clustered over all images. A cluster is
foreground if it lies in the attention masks often enough (Leopart: Ziegler & Asano, CVPR 2022,
section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering import (
    cluster_precision,
    foreground_clusters,
    label_free_threshold,
    threshold_candidates,
)
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.scores.resizing import resize_labels


@dataclass(frozen=True)
class ForegroundParts:
    """Clusters of all patches, and how far each lies in the attention masks.

    Attributes:
        maps: int32 `[N, h, w]`, cluster of every patch.
        precision: float64 `[K]`, see `cluster_precision`.
    """

    maps: np.ndarray
    precision: np.ndarray

    @property
    def suggested(self) -> float:
        """The threshold that no label was used for, see `label_free_threshold`."""
        return label_free_threshold(torch.from_numpy(self.precision))

    def masks(self, threshold: float) -> np.ndarray:
        """bool `[N, h, w]`: the patches of clusters whose precision reaches the threshold."""
        kept = foreground_clusters(torch.from_numpy(self.precision), threshold).numpy()
        return kept[self.maps]

    def candidates(self) -> list[float]:
        """Thresholds that the paper's search tries against ground truth."""
        return threshold_candidates(torch.from_numpy(self.precision))


def raw_settings(settings: TokenClustering) -> TokenClustering:
    """Settings of the foreground's k-means: spherical, on the tokens as they are."""
    return replace(settings, standardize=False, pca_dim=None, metric="spherical")


def foreground_precision(
    maps: np.ndarray, attention: np.ndarray, num_clusters: int, size: tuple[int, int]
) -> np.ndarray:
    """`precision` of `ForegroundParts`.

    Args:
        attention: bool `[N, h', w']`, attention masks of the same images, on any grid.
        size: of the maps that are compared.
    """
    large = resize_labels(torch.from_numpy(maps).to(torch.int16), size)
    prior = resize_labels(torch.from_numpy(attention), size)
    return cluster_precision(large, prior, num_clusters).numpy()


def best_threshold(
    parts: ForegroundParts, rows: slice, wanted: Tensor
) -> tuple[float, Mapping[str, Any]]:
    """The paper's choice: the candidate with the best IoU against ground truth.

    Args:
        rows: images of `parts.maps` that `wanted` belongs to.
        wanted: bool `[n, H, W]`, the true foreground.

    Returns:
        The threshold, and the IoU in percent of every candidate.
    """
    ious = {}
    for threshold in parts.candidates():
        found = torch.from_numpy(parts.masks(threshold)[rows])
        found = resize_labels(found, (wanted.shape[1], wanted.shape[2]))
        union = int((found | wanted).sum())
        ious[threshold] = 100 * int((found & wanted).sum()) / max(union, 1)
    best = max(ious, key=lambda threshold: ious[threshold])
    return best, {f"{threshold:g}": iou for threshold, iou in ious.items()}
