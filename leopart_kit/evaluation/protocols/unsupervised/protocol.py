"""Fully unsupervised segmentation: foreground, parts of it, and communities of parts as objects.

Attention marks a rough foreground; clusters over all images refine it (CBFE). k-means finds parts
in it. A graph of parts that lie beside each other is cut into communities (CD). Source: Leopart
(Ziegler & Asano, CVPR 2022, section 3.3). Ground truth names the objects at the end, one to one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.token_clusters.token_clustering import cluster_tokens
from leopart_kit.evaluation.protocols.unsupervised.details import (
    Choice,
    Segmentation,
    boundary_details,
    comparison_rows,
    foreground_details,
    object_view,
    segmentation_details,
)
from leopart_kit.evaluation.protocols.unsupervised.foreground_stage import best_threshold
from leopart_kit.evaluation.protocols.unsupervised.part_graph import PartGraph, objects_of
from leopart_kit.evaluation.protocols.unsupervised.selection import (
    candidates,
    rate_with_labels,
    rate_without_labels,
)
from leopart_kit.evaluation.protocols.unsupervised.settings import (
    Select,
    UnsupervisedSettings,
)
from leopart_kit.evaluation.protocols.unsupervised.stages import Stages
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.refined_scores import with_refinements
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import Scored, score_clusters
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.metrics import ConfusionMatrix
from leopart_kit.metrics.scores import Rule
from leopart_kit.settings import settings

logger = logging.getLogger(__name__)


@settings
class Unsupervised(UnsupervisedSettings):
    """Foreground by clusters, parts by k-means, objects by community detection."""

    name: ClassVar[str] = "unsupervised"

    def measure(self, task: Task) -> Measurement:
        """Segment the images of the task, together with those of `task.train` if there are any.

        Raises:
            ValueError: the prior has no attention, labels are asked for that are not there, or
                the foreground is too small for the parts.
        """
        if self.foreground is None:
            scenes = task.dataset.num_classes > 0 and not task.dataset.has_background
            return replace(self, foreground="all" if scenes else "clusters").measure(task)
        clock = Clock()
        stages = Stages(self, task)
        clock.lap("features")
        segmentation = self.segment(stages, self.select)
        clock.lap("segmentation")
        scored, comparison = Scored(), []
        if task.dataset.num_classes:
            scored = self.score(stages, segmentation.objects)
            clock.lap("scoring")
            scored = self._refine(stages, segmentation, scored)
            clock.lap("refinement")
            comparison = self._compare(stages, segmentation, scored)
            clock.lap("comparison")
        details = {
            **segmentation_details(stages, segmentation),
            **foreground_details(stages, segmentation.choice.threshold),
            **boundary_details(stages, segmentation.objects[self.seeds[0]], scored),
            "comparison": comparison,
        }
        free = [self.num_clusters, self.edge_threshold]
        if self.foreground == "clusters":
            free.append(self.foreground_threshold)
        return Measurement(
            indices=stages.store.indices,
            labels_used=LabelsUsed(
                fit=False,
                select=None in free and self.select == "labels",
                match=task.dataset.num_classes > 0,
            ),
            timing_seconds=clock.seconds,
            scored=scored,
            details=details,
            broken=stages.store.broken,
            cluster_maps=segmentation.objects[self.seeds[0]][stages.scored],
            objects=object_view(stages, segmentation),
        )

    def segment(self, stages: Stages, select: Select) -> Segmentation:
        """Choose what is not set, and segment all images with every seed."""
        choice = self.choose(stages, select)
        num_clusters, merging = choice.best.num_clusters, choice.best.merging
        parts, objects, object_of_part, edges = {}, {}, {}, {}
        for seed in self.seeds:
            parts[seed] = stages.parts(choice.threshold, num_clusters, seed)
            graph = stages.graph(parts[seed], num_clusters)
            communities, edges[seed] = graph.communities(merging, seed)
            object_of_part[seed] = objects_of(communities)
            objects[seed] = object_of_part[seed][parts[seed]]
        return Segmentation(choice, parts, objects, object_of_part, edges)

    def choose(self, stages: Stages, select: Select) -> Choice:
        """Foreground threshold first, then parts and communities within that foreground."""
        threshold, ious = self.foreground_threshold, {}
        if threshold is None and self.foreground == "clusters":
            threshold = stages.foreground.suggested
            if select == "labels" and stages.task.dataset.has_background:
                wanted = stages.train_targets != 0  # the ignored border counts as foreground
                threshold, ious = best_threshold(stages.foreground, stages.train, wanted)
        seed = self.seeds[0]

        def graph(num_clusters: int) -> PartGraph:
            return stages.graph(stages.parts(threshold, num_clusters, seed), num_clusters)

        space = self.search_space()
        if select == "labels":
            unmatched = 0 if stages.task.dataset.has_background else -1

            @cache  # the same for every merging of these parts
            def counts(num_clusters: int) -> Tensor:
                maps = stages.parts(threshold, num_clusters, seed)
                return _train_counts(stages, maps, num_clusters)

            rate = rate_with_labels(counts, unmatched, seed)
        else:
            rate = rate_without_labels(space.num_resamples, seed)
        fixed = self.fixed_merging(_num_objects(stages.task.dataset))
        found = candidates(graph, space, fixed, rate, stages.task.run.track)
        best = found[0]
        logger.info(
            "%s chose K = %d, edge threshold %g, Markov time %g; foreground threshold %s",
            select,
            best.num_clusters,
            best.merging.edge_threshold,
            best.merging.markov_time,
            "none" if threshold is None else f"{threshold:.2f}",
        )
        return Choice(threshold, best, tuple(found), ious)

    def score(
        self, stages: Stages, maps: Mapping[int, np.ndarray], rule: Rule = "hungarian_iou"
    ) -> Scored:
        """Score maps of the images that are scored, by seed."""
        return score_clusters(
            stages.task.dataset,
            stages.store.indices,
            {seed: found[stages.scored] for seed, found in maps.items()},
            max(int(found.max()) for found in maps.values()) + 1,
            rule=rule,
            resolution=self.resolution,
            score_resolution=self.score_resolution,
            track=stages.task.run.track,
            processes=stages.task.run.processes,
        )

    def _refine(self, stages: Stages, segmentation: Segmentation, scored: Scored) -> Scored:
        """The scores, and those after every refinement."""
        run = stages.task.run
        maps = {
            seed: segmentation.objects[seed][stages.scored]
            for seed in self.seeds[: self.refinement_seeds]
        }
        return with_refinements(
            scored,
            stages.task.dataset,
            stages.store.indices,
            maps,
            self.refinement,
            resolution=self.resolution,
            score_resolution=self.score_resolution,
            num_processes=max(run.workers, 1),
            track=run.track,
        )

    def _compare(
        self, stages: Stages, segmentation: Segmentation, scored: Scored
    ) -> list[dict[str, Any]]:
        """The same images by less, by more and by labels, each beside the protocol itself."""
        dataset, run = stages.task.dataset, stages.task.run
        threshold = segmentation.choice.threshold
        plain = cluster_tokens(
            stages.store,
            self,
            dataset.num_classes,
            device=run.device,
            track=run.track,
            processes=run.processes,
        )
        rows = comparison_rows("k-means, K = classes", self.score(stages, plain.maps), "kmeans")
        inside = "" if self.foreground == "all" else "foreground, "
        if inside:
            few = max(_num_objects(dataset), 1)
            extracted = {seed: stages.parts(threshold, few, seed) for seed in self.seeds}
            found = self.score(stages, extracted)
            rows += comparison_rows("foreground, k-means", found, "foreground_kmeans")
        name = f"{inside}communities by"
        rows += comparison_rows(f"{name} {self.select}", scored, "communities", self.select)
        if self.select != "labels" and stages.has_train_labels:
            tuned = self.score(stages, self.segment(stages, "labels").objects)
            rows += comparison_rows(f"{name} labels", tuned, "communities", "labels")
        bound = self.score(stages, segmentation.parts, "many_to_one_precision")
        rows += comparison_rows("upper bound: parts many to one", bound, "upper_bound")
        return rows


def _num_objects(dataset: SegmentationDataset) -> int:
    """Classes but background; 0 for a set without classes."""
    return max(dataset.num_classes - int(dataset.has_background), 0)


def _train_counts(stages: Stages, maps: np.ndarray, num_parts: int) -> Tensor:
    """Pixels `[C, K + 1]` of every class and part on the training images."""
    dataset = stages.task.dataset
    counts = ConfusionMatrix(dataset.num_classes, num_parts + 1, dataset.ignore_index)
    size = stages.settings.score_resolution
    for target, found in zip(stages.train_targets, maps[stages.train], strict=True):
        counts.update(target, resize_labels(torch.from_numpy(found), size))
    return counts.counts
