"""From heads on frozen tokens to scores: the part that all probes share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.evaluation.protocols.probes.batches import tokens_of
from leopart_kit.evaluation.protocols.probes.heads import (
    Head,
    HeadTraining,
    MakeHead,
    predicted_classes,
)
from leopart_kit.evaluation.protocols.probes.settings import ProbeSettings
from leopart_kit.evaluation.protocols.training_split.training_images import (
    left_out,
    missing_classes,
)
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.predicted_maps import PredictedMaps
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.evaluation.segmentation_heads import HeadKind, classes_of_head, load_head
from leopart_kit.evaluation.task import Clock, Measurement, Task


def measure_probe(
    settings: ProbeSettings, task: Task, kind: HeadKind, make_head: MakeHead
) -> Measurement:
    """Train one head a seed, or load the one that `settings.head` names, and score them.

    Raises:
        ValueError: no training images with masks, too few of them, or a head that does not fit.
        FileNotFoundError: there is no file `settings.head`.
    """
    clock, run, dataset = Clock(), task.run, task.dataset
    store = task.features(settings.resolution)
    training, details = None, {}
    if settings.head is not None:
        path = Path(settings.head).expanduser()
        head = load_head(path, kind, store.embed_dim, tuple(dataset.class_names)).to(run.device)
        heads: Mapping[int, Head] = {settings.seeds[0]: head}
        names = classes_of_head(path)
        details |= {"head": str(path)}
        clock.lap("features")
    else:
        training = HeadTraining(settings, task, store, make_head)
        clock.lap("features")
        rate, tried = training.rate()
        heads, names = training.heads(rate), training.dataset.class_names
        details |= {"learning_rate": rate, "miou_on_held_out_images": dict(tried)}
        clock.lap("training")

    @torch.inference_mode()
    def logits_of(row: int) -> dict[int, Tensor]:
        tokens = tokens_of(store, np.array([row])).to(run.device)
        return {seed: head(tokens) for seed, head in heads.items()}

    sizes = settings.resolution, settings.score_resolution
    maps = PredictedMaps(task, len(store), sizes[1], logits_of, predicted_classes)
    scored = maps.score(store.indices, tuple(heads), *sizes)
    clock.lap("scoring")
    if training is not None:
        details |= _training_details(training, scored)
    return Measurement(
        indices=store.indices,
        labels_used=LabelsUsed(fit=True, select=settings.selection == "as_released", match=False),
        timing_seconds=clock.seconds,
        scored=scored,
        details=details,
        broken=store.broken,
        heads=heads,
        **maps.kept(names),
    )


def _training_details(training: HeadTraining, scored: Scored) -> dict[str, Any]:
    broken = {**training.labels.broken, **training.store.broken}
    return {
        "training_images": len(training.store),
        "training_images_left_out": left_out(training.dataset, broken),
        "classes_missing_from_train": missing_classes(training.labels, scored),
    }
