"""The evaluations one by one: each turns features or images into scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import KMeans
from leopart_kit.clustering.projection import Standardizer
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.task import RunSettings
from leopart_kit.image_level.evaluation.clustering_agreement import agreement, contingency
from leopart_kit.image_level.evaluation.fine_tuning import fine_tune, predict_classes
from leopart_kit.image_level.evaluation.gallery import ClusterView, cluster_views
from leopart_kit.image_level.evaluation.linear_classifier import linear_probe
from leopart_kit.image_level.evaluation.low_shot import stratified_subset
from leopart_kit.image_level.evaluation.nearest_neighbours import knn_predict
from leopart_kit.image_level.evaluation.pooled_features import OUTPUT, LabelledFeatures
from leopart_kit.image_level.evaluation.result import Score
from leopart_kit.image_level.evaluation.settings import ImageLevelSettings
from leopart_kit.image_level.networks.image_classifier import ImageClassifier


@dataclass(frozen=True)
class Measured:
    """Input of every evaluation: features of both splits, and how to go about it."""

    train: LabelledFeatures
    test: LabelledFeatures
    class_names: tuple[str, ...]
    settings: ImageLevelSettings
    run: RunSettings

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def accuracy(self, predictions: Tensor) -> float:
        """Share of the test images with the right class, in percent."""
        return 100 * int((predictions == self.test.labels).sum()) / len(predictions)


def measure_knn(on: Measured) -> list[Score]:
    """Nearest neighbours of the image vectors; no chance is in it, so one figure."""
    settings = on.settings.knn
    predictions = knn_predict(
        on.train.layer(OUTPUT),
        on.train.labels,
        on.test.layer(OUTPUT),
        on.num_classes,
        neighbours=settings.neighbours,
        temperature=settings.temperature,
        device=on.run.device,
    )
    return [Score.over_seeds("knn", OUTPUT, "accuracy", [on.accuracy(predictions)])]


def measure_linear(on: Measured) -> list[Score]:
    """A linear classifier on every layer that was extracted for it."""
    scores = []
    for layer in on.train.layers:
        if on.settings.linear.layers != "all" and layer not in on.settings.linear.layers:
            continue
        train, test = on.train.layer(layer), on.test.layer(layer)
        probes = [
            linear_probe(
                train,
                on.train.labels,
                test,
                on.num_classes,
                on.settings.linear,
                seed=seed,
                class_names=on.class_names,
                device=on.run.device,
                track=on.run.track,
            )
            for seed in on.settings.seeds
        ]
        chosen = [
            {**probe.chosen._asdict(), "validation_accuracy": probe.validation_accuracy}
            for probe in probes
        ]
        accuracies = [on.accuracy(probe.predictions) for probe in probes]
        scores.append(Score.over_seeds("linear", layer, "accuracy", accuracies, chosen))
    return scores


def measure_fine_tuning(
    on: Measured,
    encoder: Encoder,
    train: SegmentationDataset,
    test: SegmentationDataset,
    resolution: int,
    evaluation: str,
    fractions: Sequence[float],
    on_trained: Callable[[ImageClassifier], None],
) -> list[Score]:
    """The whole network trained on a share of the labels, for each share.

    Args:
        on_trained: called with the classifier of the first seed, for each share.

    Raises:
        ValueError: a share that leaves a class without an image; an encoder without weights.
    """
    labels = on.train.labels.numpy()
    scores = []
    for fraction in fractions:
        accuracies = []
        for seed in on.settings.seeds:
            kept = stratified_subset(labels, fraction, seed, on.class_names)
            classifier = fine_tune(
                encoder,
                train,
                on.train.rows[kept],
                labels[kept],
                on.num_classes,
                on.settings.fine_tuning,
                resolution=resolution,
                seed=seed,
                device=on.run.device,
                num_workers=on.run.workers,
                track=on.run.track,
            )
            predictions = predict_classes(
                classifier,
                test,
                on.test.rows,
                resolution=resolution,
                batch_size=on.run.batch_size,
                device=on.run.device,
                num_workers=on.run.workers,
                track=on.run.track,
            )
            accuracies.append(on.accuracy(predictions))
            if seed == on.settings.seeds[0]:
                on_trained(classifier)
        variant = f"{100 * fraction:g} % of the labels"
        scores.append(Score.over_seeds(evaluation, variant, "accuracy", accuracies))
    return scores


def measure_clusters(
    on: Measured, assignments: np.ndarray | None
) -> tuple[list[Score], tuple[ClusterView, ...]]:
    """Agreement of clusters of the test images with their classes, and what the clusters hold.

    k-means is fitted on the training images' vectors, standardised and of unit length, and the
    test images go to the nearest centre. `assignments`, the cluster of every image of the test
    split found by other means, take the place of that.
    """
    standardizer = Standardizer().fit(on.train.layer(OUTPUT))
    test = standardizer.transform(on.test.layer(OUTPUT))
    labels = on.test.labels.numpy()
    if assignments is not None:
        found = [np.unique(assignments[on.test.rows], return_inverse=True)[1]]
        num_clusters = int(found[0].max()) + 1
        clusters = assignments[on.test.rows]  # the gallery keeps the numbers that were given
    else:
        num_clusters = on.settings.clusters.num_clusters or on.num_classes
        train = standardizer.transform(on.train.layer(OUTPUT))
        found = [_kmeans(on, train, test, num_clusters, seed) for seed in on.settings.seeds]
        clusters = found[0]
    figures = [
        agreement(contingency(labels, ids, on.num_classes, num_clusters))._asdict() for ids in found
    ]
    variant = f"K = {num_clusters}" + ("" if assignments is None else ", given")
    scores = [
        Score.over_seeds("clusters", variant, metric, [f[metric] for f in figures])
        for metric in figures[0]
    ]
    return scores, cluster_views(test, clusters, labels)


def check_num_clusters(num_clusters: int | None, num_images: int) -> None:
    """Raise `ValueError` for more clusters than there are training images."""
    if num_clusters is not None and num_clusters > num_images:
        raise ValueError(
            f"{num_clusters} clusters are more than the {num_images} training images: lower "
            "clusters.num_clusters"
        )


def _kmeans(on: Measured, train: Tensor, test: Tensor, num_clusters: int, seed: int) -> np.ndarray:
    options = asdict(on.settings.clusters)
    options.pop("num_clusters")
    check_num_clusters(num_clusters, len(train))
    kmeans = KMeans(
        num_clusters,
        metric="spherical",
        seed=seed,
        device=on.run.device,
        track=on.run.track,
        **options,
    )
    return kmeans.fit(train).predict(test).to("cpu", torch.int64).numpy()
