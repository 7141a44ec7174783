"""Parts: how far do clusters of patches agree with the part masks of objects?

k-means as in overclustering, on data sets whose masks are parts. Beside the mIoU of clusters that
are matched many to one stand normalised mutual information and adjusted Rand index, over all pixels
and over those of the foreground alone (as in Choudhury et al., NeurIPS 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import (
    ClusterMaps,
    cluster_images,
)
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import score_clusters, scored_masks
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.metrics import ConfusionMatrix, summarize
from leopart_kit.metrics.agreement import adjusted_rand_index, normalized_mutual_information
from leopart_kit.processes import Processes
from leopart_kit.settings import Count, settings


@settings
class Parts(TokenClustering):
    """k-means of patch tokens against part masks: mIoU, NMI and ARI.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    name: ClassVar[str] = "parts"

    num_clusters: Count | None = None
    """K; null: twice the number of parts."""

    def measure(self, task: Task) -> Measurement:
        """Cluster the tokens of all images and compare the clusters with the parts.

        Raises:
            ValueError: images without part masks, or fewer patches than clusters.
        """
        dataset, run, clock = task.dataset, task.run, Clock()
        if not dataset.num_classes:
            raise ValueError(
                f"{dataset.name} has no part masks to compare with: take "
                "dataset=part_imagenet, pascal_part, or scenes with dataset.label_set=parts"
            )
        num_clusters = self.num_clusters or 2 * dataset.num_classes
        store, clusters = cluster_images(task, self, num_clusters, clock)
        scored = score_clusters(
            dataset,
            clusters.indices,
            clusters.maps,
            num_clusters,
            rule="many_to_one_precision",
            resolution=self.resolution,
            score_resolution=self.score_resolution,
            track=run.track,
            processes=run.processes,
        )
        agreement = part_agreement(
            self.count(dataset, clusters, run.processes), dataset.has_background
        )
        clock.lap("scoring")
        return Measurement(
            indices=store.indices,
            labels_used=LabelsUsed(fit=False, select=False, match=True),
            timing_seconds=clock.seconds,
            details={**clusters.details, "agreement": agreement},
            broken=store.broken,
            cluster_maps=clusters.maps[self.seeds[0]],
            scored=scored,
        )

    def count(
        self, dataset: SegmentationDataset, clusters: ClusterMaps, processes: Processes
    ) -> dict[int, np.ndarray]:
        """Pixels of each part in each cluster at the headline's size, int64 `[C, K]` by seed."""
        size = self.score_resolution
        mine = {
            seed: ConfusionMatrix(dataset.num_classes, clusters.num_clusters)
            for seed in clusters.maps
        }
        for row in processes.share(range(len(clusters.indices))):
            index = int(clusters.indices[row])
            target, _ = scored_masks(dataset, index, self.resolution, size)
            for seed, maps in clusters.maps.items():
                mine[seed].update(target, resize_labels(torch.from_numpy(maps[row]), size))
        shares = processes.gather({seed: matrix.counts.numpy() for seed, matrix in mine.items()})
        return {seed: np.sum([share[seed] for share in shares], axis=0) for seed in mine}


def part_agreement(
    counts: Mapping[int, np.ndarray], has_background: bool
) -> dict[str, dict[str, Any]]:
    """NMI and ARI in percent over all labelled pixels and over those of the foreground.

    Args:
        counts: int64 `[C, K]` by seed; class 0 is no part where there is a background.
    """
    first = 1 if has_background else 0
    figures = {
        f"{name}_{area}": [100 * measure(table[start:]) for table in counts.values()]
        for area, start in (("all", 0), ("foreground", first))
        for name, measure in (("nmi", normalized_mutual_information), ("ari", adjusted_rand_index))
        if all(table[start:].any() for table in counts.values())
    }
    found = {}
    for name, per_seed in figures.items():
        mean, std = summarize(per_seed)
        found[name] = {"mean": mean, "std": std, "per_seed": per_seed}
    return found


PART = Parts
