"""The training images of protocols that learn from labels, and what a result tells of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from leopart_kit.data import ClassHistogram, SegmentationDataset
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.evaluation.task import Task

logger = logging.getLogger(__name__)


def training_images(task: Task) -> SegmentationDataset:
    """The images that a protocol may learn from.

    Raises:
        ValueError: there are none, or without masks, or with other classes than those to find.
    """
    train = task.train
    if train is None:
        raise ValueError(
            "this protocol learns from labelled images, but there are no training images: set "
            "protocol.train_split to a split of the data set (evaluate: train=…)"
        )
    if train.num_classes == 0:
        raise ValueError(f"the training images of {train.name} have no masks to learn from")
    if task.dataset.num_classes and train.class_names != task.dataset.class_names:
        raise ValueError("the training images have other classes than those to find")
    return train


def missing_classes(train: ClassHistogram, scored: Scored) -> list[str]:
    """Classes to be found that no training image shows; they cannot be learnt and score 0."""
    if not scored.scores:
        return []
    full = scored.scores[-1]
    known = set(train.classes_present)
    missing = [s.name for s in full.per_class if s.pixels and s.id not in known]
    if missing:
        logger.warning("no training image shows %s; they score 0", ", ".join(missing))
    return missing


def left_out(dataset: SegmentationDataset, broken: Mapping[int, str]) -> list[dict[str, str]]:
    """Name and reason of each training image that could not be read."""
    return [{"name": dataset.names[i], "reason": broken[i]} for i in sorted(broken)]
