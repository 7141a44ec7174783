"""One call from an encoder and labelled images to an `ImageLevelResult`."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.backbones import Encoder
from leopart_kit.data import BrokenSampleError
from leopart_kit.evaluation.evaluate import git_sha, versions
from leopart_kit.evaluation.result import EncoderInfo, LabelsUsed
from leopart_kit.evaluation.split_audit import audit_splits
from leopart_kit.evaluation.task import Clock, RunSettings
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.data.read_images import central_squares
from leopart_kit.image_level.evaluation import measurements
from leopart_kit.image_level.evaluation.fine_tuning import check_trainable
from leopart_kit.image_level.evaluation.low_shot import held_out_split, stratified_subset
from leopart_kit.image_level.evaluation.pooled_features import (
    OUTPUT,
    LabelledFeatures,
    LayersAsToken,
    extract_pooled,
)
from leopart_kit.image_level.evaluation.result import ImageLevelResult, ImageSets
from leopart_kit.image_level.evaluation.settings import ImageLevelSettings
from leopart_kit.image_level.networks.image_classifier import ImageClassifier
from leopart_kit.peak_memory import peak_memory_mb, restart_peak

logger = logging.getLogger(__name__)

LABELS_USED = {
    "knn": LabelsUsed(fit=True, select=False, match=False),
    "linear": LabelsUsed(fit=True, select=True, match=False),
    "low_shot": LabelsUsed(fit=True, select=False, match=False),
    "fine_tuning": LabelsUsed(fit=True, select=False, match=False),
    "clusters": LabelsUsed(fit=False, select=False, match=True),
}

_LARGEST_RESOLUTION = 224


def _ignore(classifier: ImageClassifier) -> None:
    pass


def evaluate_image_level(
    encoder: Encoder,
    train: ClassificationDataset,
    test: ClassificationDataset,
    settings: ImageLevelSettings | None = None,
    run: RunSettings | None = None,
    *,
    assignments: np.ndarray | None = None,
    recorded: Mapping[str, Any] | None = None,
    on_fine_tuned: Callable[[ImageClassifier], None] = _ignore,
) -> ImageLevelResult:
    """Measure what an encoder's vectors know of the classes of whole images.

    Args:
        train: images whose classes may be learned from, and chosen by.
        test: images that are scored; their classes are seen by nothing else.
        run: how to run; the defaults of `RunSettings` if left out.
        assignments: integers `[len(test)]`, the cluster of every test image as a method's own
            head or pseudo-labels give it (DeepCluster, SeLa); without it `clusters` runs k-means.
        recorded: what to record as the run's settings; the evaluation's own numbers by default.
        on_fine_tuned: called with the classifier that `fine_tuning` has trained with all labels
            and the first seed, once it is measured.

    Raises:
        ValueError: fewer than 2 classes, a class of the test split without training images, a
            layer the encoder does not have, too few images for a setting; with `run.strict`, a
            broken file; images of both splits, unless `run.shared_images` allows them.
    """
    restart_peak()
    settings, run = settings or ImageLevelSettings(), run or RunSettings()
    test = test.with_classes_of(train)
    _check(encoder, train, test, settings, assignments)
    # Folders of classes number their images anew in every split: names say nothing.
    audited: tuple[str, ...] = ()
    if any(LABELS_USED[name].fit for name in settings.evaluations):
        audit = audit_splits(train.images, test.images, names=False, track=run.track)
        audit.check(run.shared_images)
        audited = (audit.note(),)
    clock = Clock()
    with _cache_dir(run) as cache_dir:
        on, resolution = _features(encoder, train, test, settings, run, cache_dir)
        clock.lap("features")
        scores, clusters = [], ()
        for name in settings.evaluations:
            if name == "knn":
                scores += measurements.measure_knn(on)
            elif name == "linear":
                scores += measurements.measure_linear(on)
            elif name == "clusters":
                found, clusters = measurements.measure_clusters(on, assignments)
                scores += found
            else:
                scores += measurements.measure_fine_tuning(
                    on,
                    encoder,
                    central_squares(train.images, settings.central_crop),
                    central_squares(test.images, settings.central_crop),
                    resolution,
                    name,
                    settings.fine_tuning.fractions if name == "low_shot" else (1.0,),
                    on_fine_tuned if name == "fine_tuning" else _ignore,
                )
            clock.lap(name)
    return ImageLevelResult(
        dataset=_image_sets(train, test, on.train, on.test, resolution, audited),
        encoder=EncoderInfo(encoder.name, encoder.weights, encoder.fingerprint()),
        settings=asdict(settings) if recorded is None else recorded,
        scores=tuple(scores),
        labels_used={name: LABELS_USED[name] for name in settings.evaluations},
        timing_seconds={**clock.seconds, "total": sum(clock.seconds.values())},
        peak_memory_mb=peak_memory_mb(),
        versions=versions(),
        git_sha=git_sha(),
        clusters=clusters,
    )


def _check(
    encoder: Encoder,
    train: ClassificationDataset,
    test: ClassificationDataset,
    settings: ImageLevelSettings,
    assignments: np.ndarray | None,
) -> None:
    """Checks of what would otherwise show after hours of extraction."""
    if train.num_classes < 2:
        raise ValueError(
            f"{train.name} {train.split} has one class, {train.class_names[0]!r}; nothing can be "
            "told apart: check that its folders are classes"
        )
    if assignments is not None and assignments.shape != (len(test),):
        raise ValueError(
            f"assignments are {list(assignments.shape)}; give one cluster for each of the "
            f"{len(test)} images of {test.name} {test.split}"
        )
    if "knn" in settings.evaluations and settings.knn.neighbours > len(train):
        raise ValueError(
            f"{settings.knn.neighbours} neighbours of {len(train)} training images: lower "
            "knn.neighbours"
        )
    if "linear" in settings.evaluations:
        held_out_split(train.labels, settings.linear.validation_fraction, 0, train.class_names)
    if "clusters" in settings.evaluations and assignments is None:
        measurements.check_num_clusters(settings.clusters.num_clusters, len(train))
    if {"low_shot", "fine_tuning"} & set(settings.evaluations):
        check_trainable(encoder)
    if "low_shot" in settings.evaluations:
        for fraction in settings.fine_tuning.fractions:
            stratified_subset(train.labels, fraction, 0, train.class_names)


@contextmanager
def _cache_dir(run: RunSettings) -> Iterator[Path]:
    if run.cache_dir is not None:
        yield run.cache_dir
        return
    with tempfile.TemporaryDirectory(prefix="leopart_kit_") as folder:
        yield Path(folder)


def _features(
    encoder: Encoder,
    train: ClassificationDataset,
    test: ClassificationDataset,
    settings: ImageLevelSettings,
    run: RunSettings,
    cache_dir: Path,
) -> tuple[measurements.Measured, int]:
    """Features of both splits, and the side in pixels at which they were taken."""
    resolution = settings.resolution or _native_resolution(train)
    names: Any = (OUTPUT,)
    if "linear" in settings.evaluations:
        names = settings.linear.layers
        names = names if names == "all" else tuple(dict.fromkeys((*names, OUTPUT)))
    linear = settings.linear
    layers = LayersAsToken(encoder, names, resolution, linear.pooling, linear.max_features)
    logger.info("layers at %d pixels: %s", resolution, ", ".join(layers.places))
    found = [
        extract_pooled(layers, split, settings.central_crop, run, cache_dir)
        for split in (train, test)
    ]
    return measurements.Measured(found[0], found[1], train.class_names, settings, run), resolution


def _native_resolution(train: ClassificationDataset) -> int:
    """The shorter side of the first readable image, at most 224 pixels."""
    for index in range(len(train)):
        try:
            return min(*train.images.image_size(index), _LARGEST_RESOLUTION)
        except BrokenSampleError:  # named when its features are taken
            continue
    raise ValueError(f"no image of {train.name} {train.split} can be read")


def _image_sets(
    train: ClassificationDataset,
    test: ClassificationDataset,
    train_features: LabelledFeatures,
    test_features: LabelledFeatures,
    resolution: int,
    audited: tuple[str, ...],
) -> ImageSets:
    broken = tuple(
        {"split": split.split, "name": split.names[index], "reason": features.broken[index]}
        for split, features in ((train, train_features), (test, test_features))
        for index in sorted(features.broken)
    )
    if broken:
        logger.warning("%d images were left out", len(broken))
    labels = test_features.labels
    return ImageSets(
        name=train.name,
        root=str(train.root),
        train_split=train.split,
        test_split=test.split,
        num_train=len(train_features.rows),
        num_test=len(test_features.rows),
        resolution=resolution,
        class_names=train.class_names,
        chance=100 * float(np.bincount(labels).max() / len(labels)),
        broken=broken,
        notes=tuple(dict.fromkeys((*train.images.notes, *test.images.notes, *audited))),
    )
