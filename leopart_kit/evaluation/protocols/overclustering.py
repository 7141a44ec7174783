"""Overclustering: the agreement of k-means clusters of patch tokens with the classes.

All tokens of the set are standardised, reduced by PCA and clustered by k-means; no label is seen
until clusters are named. K = number of classes is matched one to one, a larger K many to one
(Leopart: Ziegler & Asano, CVPR 2022, section 4 and appendix).
"""

from __future__ import annotations

from typing import ClassVar

from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import cluster_images
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.scoring import Scored, score_clusters
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.metrics.scores import Rule
from leopart_kit.settings import Count, settings

WITHOUT_CLASSES = 20
"""Clusters of images without masks, unless another number is set."""


@settings
class Overclustering(TokenClustering):
    """k-means of patch tokens against classes; the defaults are the paper's.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    name: ClassVar[str] = "overclustering"

    num_clusters: Count | None = None
    """K; null: the number of classes, or 20 where images have no masks."""
    matching: Rule | None = None
    """Rule that gives clusters their classes; null: hungarian_iou for K = classes, else
    many_to_one_precision."""

    def resolve_num_clusters(self, num_classes: int) -> int:
        """K for a set of `num_classes` classes (0 where there are no masks)."""
        if self.num_clusters is not None:
            return self.num_clusters
        return num_classes or WITHOUT_CLASSES

    def resolve_rule(self, num_classes: int) -> Rule:
        """The matching rule for a set of `num_classes` classes."""
        if self.matching is not None:
            return self.matching
        overclustered = self.resolve_num_clusters(num_classes) > num_classes
        return "many_to_one_precision" if overclustered else "hungarian_iou"

    def measure(self, task: Task) -> Measurement:
        """Cluster the tokens of all images and score the clusters where there are masks."""
        dataset, run = task.dataset, task.run
        num_clusters = self.resolve_num_clusters(dataset.num_classes)
        clock = Clock()
        store, clusters = cluster_images(task, self, num_clusters, clock)
        scored = Scored()
        if dataset.num_classes:
            scored = score_clusters(
                dataset,
                clusters.indices,
                clusters.maps,
                num_clusters,
                rule=self.resolve_rule(dataset.num_classes),
                resolution=self.resolution,
                score_resolution=self.score_resolution,
                track=run.track,
                processes=run.processes,
            )
        clock.lap("scoring")
        return Measurement(
            indices=store.indices,
            labels_used=LabelsUsed(fit=False, select=False, match=dataset.num_classes > 0),
            timing_seconds=clock.seconds,
            details=clusters.details,
            broken=store.broken,
            cluster_maps=clusters.maps[self.seeds[0]],
            scored=scored,
        )


PART = Overclustering
