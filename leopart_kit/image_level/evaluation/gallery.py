"""Content of the clusters: the images nearest to each centre, and the classes inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ClusterView:
    """One cluster of images.

    Attributes:
        id: its number.
        size: how many images it holds.
        classes: `(class, images)` of the most frequent classes first.
        examples: rows of images, nearest to the centre first.
    """

    id: int
    size: int
    classes: tuple[tuple[int, int], ...]
    examples: tuple[int, ...]

    @property
    def purity(self) -> float:
        """Share of its images in its most frequent class, in percent."""
        return 100 * self.classes[0][1] / self.size


def cluster_views(
    features: Tensor, clusters: np.ndarray, labels: np.ndarray, num_examples: int = 12
) -> tuple[ClusterView, ...]:
    """The clusters that hold an image, purest first, of equal ones the larger.

    Args:
        features: `[N, D]`; examples are those of largest cosine with the mean of their cluster.
        clusters, labels: integers `[N]`.
        num_examples: most images shown of each.
    """
    unit = F.normalize(features.float(), dim=1)
    views = []
    for cluster in np.unique(clusters).tolist():
        rows = np.flatnonzero(clusters == cluster)
        members = unit[torch.from_numpy(rows)]
        nearest = (members @ members.mean(dim=0)).argsort(descending=True, stable=True)
        classes, counts = np.unique(labels[rows], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        views.append(
            ClusterView(
                id=cluster,
                size=len(rows),
                classes=tuple((int(classes[i]), int(counts[i])) for i in order),
                examples=tuple(rows[nearest[:num_examples].numpy()].tolist()),
            )
        )
    return tuple(sorted(views, key=lambda view: (-view.purity, -view.size, view.id)))
