"""The protocol of 27 classes: clusters of centre crops, one a class, matched by counts.

The protocol of PiCIE (Cho et al., CVPR 2021) and STEGO (Hamilton et al., ICLR 2022) on COCO-Stuff
and Cityscapes. Crops have 320 px; features are averaged with those of the mirrored image. As many
clusters as classes are matched by common pixels, with and without a dense CRF.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from torch import Tensor

from leopart_kit.backbones.mirrored import MirroredEncoder
from leopart_kit.data import SegmentationDataset, center_crops
from leopart_kit.data.center_crop import Interpolation
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.token_clusters.learned import (
    assign_learned,
    learned_centroids,
)
from leopart_kit.evaluation.protocols.token_clusters.settings import TokenClustering
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import (
    ClusterMaps,
    cluster_images,
)
from leopart_kit.evaluation.protocols.unsupervised.details import comparison_rows
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.refined_scores import with_refinements
from leopart_kit.evaluation.scores.scoring import Scored, score_clusters
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.masks import Refinement, dense_crf_available
from leopart_kit.settings import Count, Size, Text, settings, several


@settings
class Unsupervised27(TokenClustering):
    """Clusters of centre crops, one a class; k-means by the cosine, as STEGO's clusters.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    name: ClassVar[str] = "unsupervised_27"

    train_split: Text | None = "train"
    """Split for a linear probe that stands beside; null: none."""
    resolution: Size = (320, 320)
    """`[H, W]` of the encoder's input, in pixels."""
    score_resolution: Size = (320, 320)
    """`[H, W]` at which the headline is scored."""
    standardize: bool = False
    """Zero mean and unit variance of each dimension over the set."""
    pca_dim: Count | None = None
    """Dimensions kept by PCA; null keeps all."""
    l2_normalize: bool = True
    """Scale every token to length 1 before anything else."""
    metric: Literal["euclidean", "spherical"] = "spherical"
    """Distance of the k-means."""
    clusters: Literal["kmeans", "learned"] = "kmeans"
    """kmeans; learned: those that the encoder brings, as of method=stego."""
    num_clusters: Count | None = None
    """K; null: the number of classes. Clusters left over are wrong."""
    crop: Count = 320
    """Side of the centre crops in pixels."""
    image_interpolation: Interpolation = "bilinear"
    """Resizing of images before they are cut; STEGO takes nearest."""
    mirrored: bool = True
    """Average the tokens with those of the mirrored image."""
    refinement: several(Refinement, at_least=0) | None = None  # type: ignore[valid-type]
    """Refinements scored beside the result; null: dense_crf where the extra crf is installed, else
    bilateral_grid."""
    refinement_seeds: Count = 1
    """Seeds that are refined; dense_crf takes about 1 s an image, bilateral_grid 0.04 s."""

    def view(self, dataset: SegmentationDataset) -> SegmentationDataset:
        """The centre crops of the images and masks."""
        return center_crops(dataset, self.crop, self.image_interpolation)

    def measure(self, task: Task) -> Measurement:
        """Cluster the tokens of all crops, and score them where there are masks.

        With `task.train` a linear probe on the same tokens stands beside the clusters.

        Raises:
            ValueError: fewer patches than clusters, or neither masks nor `num_clusters`.
        """
        dataset, clock = task.dataset, Clock()
        centroids = learned_centroids(task.encoder) if self.clusters == "learned" else None
        if self.mirrored:
            task = replace(task, encoder=MirroredEncoder(task.encoder))
        num_clusters = self.num_clusters or dataset.num_classes
        if num_clusters == 0:
            raise ValueError("without masks there is no number of classes: set num_clusters")
        if centroids is None:
            store, clusters = cluster_images(task, self, num_clusters, clock)
        else:
            store, clusters = self._learned(task, centroids, clock)
            num_clusters = clusters.num_clusters
        scored, comparison = Scored(), []
        if dataset.num_classes:
            scored = self._score(task, clusters)
            clock.lap("scoring")
            scored = self._each_once(self._refine(task, clusters, scored))
            clock.lap("refinement")
            if centroids is None:
                comparison = comparison_rows(f"k-means, K = {num_clusters}", scored, "kmeans")
            else:
                said = f"learned clusters, K = {num_clusters}"
                comparison = comparison_rows(said, scored, "learned_clusters")
            comparison += self._linear_probe(task)
            clock.lap("linear probe")
        return Measurement(
            indices=store.indices,
            labels_used=LabelsUsed(fit=False, select=False, match=dataset.num_classes > 0),
            timing_seconds=clock.seconds,
            details={**clusters.details, "comparison": comparison},
            broken=store.broken,
            cluster_maps=clusters.maps[self.seeds[0]],
            scored=scored,
        )

    def _learned(
        self, task: Task, centroids: Tensor, clock: Clock
    ) -> tuple[FeatureStore, ClusterMaps]:
        """One assignment, which has no seed: it stands under the first one."""
        store = task.features(self.resolution)
        clock.lap("features")
        maps = {self.seeds[0]: assign_learned(store, centroids)}
        clock.lap("clusters")
        details = {"num_clusters": len(centroids), "clusters": "learned"}
        return store, ClusterMaps(maps, store.indices, len(centroids), details)

    def _score(self, task: Task, clusters: ClusterMaps) -> Scored:
        return score_clusters(
            task.dataset,
            clusters.indices,
            clusters.maps,
            clusters.num_clusters,
            rule="hungarian_count",
            unmatched=-1,
            resolution=self.resolution,
            score_resolution=self.score_resolution,
            track=task.run.track,
            processes=task.run.processes,
        )

    def _refine(self, task: Task, clusters: ClusterMaps, scored: Scored) -> Scored:
        methods = self.refinement
        if methods is None:
            methods = ("dense_crf",) if dense_crf_available() else ("bilateral_grid",)
        return with_refinements(
            scored,
            task.dataset,
            clusters.indices,
            dict(list(clusters.maps.items())[: self.refinement_seeds]),
            methods,
            resolution=self.resolution,
            score_resolution=self.score_resolution,
            num_processes=max(task.run.workers, 1),
            track=task.run.track,
        )

    def _each_once(self, scored: Scored) -> Scored:
        """The scores without those at full size, where the headline's are at the crops' size."""
        if not self.resolution == self.score_resolution == (self.crop, self.crop):
            return scored
        return replace(
            scored,
            scores=tuple(table for table in scored.scores if table.resolution != "full"),
            per_image={name: counts for name, counts in scored.per_image.items() if name != "full"},
        )

    def _linear_probe(self, task: Task) -> list[dict[str, Any]]:
        """Rows of a linear probe on the same tokens, where there are images to train it on."""
        if task.train is None:
            return []
        probe = LinearProbe(
            seeds=self.seeds[:1],
            resolution=self.resolution,
            score_resolution=self.score_resolution,
        )
        scored = probe.measure(task).scored
        return comparison_rows("linear probe, by labels", scored, "linear_probe", "labels")


PART = Unsupervised27
