"""From heads on frozen tokens to scores: the part that all probes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leopart_kit.evaluation.features import FeatureStore
from leopart_kit.evaluation.probe_batches import tokens_of
from leopart_kit.evaluation.probe_heads import Head, HeadTraining, MakeHead, predicted_classes
from leopart_kit.evaluation.probe_settings import ProbeSettings
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scoring import Scored, Size, score_classes
from leopart_kit.evaluation.segmentation_heads import HeadKind, load_head
from leopart_kit.evaluation.shared_rows import shared_rows
from leopart_kit.evaluation.task import Clock, Measurement, Task
from leopart_kit.evaluation.training_images import left_out, missing_classes


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
        details |= {"head": str(path), "num_clusters": head.classify.out_channels}
        clock.lap("features")
    else:
        training = HeadTraining(settings, task, store, make_head)
        clock.lap("features")
        rate, tried = training.rate()
        heads = training.heads(rate)
        details |= {"learning_rate": rate, "miou_on_held_out_images": dict(tried)}
        clock.lap("training")
    predictions = _Predictions(settings, task, store, heads)
    scored = Scored()
    if dataset.num_classes:
        scored = score_classes(
            dataset,
            store.indices,
            predictions,
            tuple(heads),
            resolution=settings.resolution,
            score_resolution=settings.score_resolution,
            track=run.track,
            processes=run.processes,
        )
    else:
        predictions.fill()
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
        # Without masks nobody named the classes here: they are shown as clusters are.
        class_maps=predictions.class_maps if dataset.num_classes else None,
        cluster_maps=None if dataset.num_classes else predictions.class_maps,
        heads=heads,
    )


def _training_details(training: HeadTraining, scored: Scored) -> dict[str, Any]:
    broken = {**training.labels.broken, **training.store.broken}
    return {
        "training_images": len(training.store),
        "training_images_left_out": left_out(training.dataset, broken),
        "classes_missing_from_train": missing_classes(training.labels, scored),
    }


class _Predictions:
    """What every head says of an image at any size; see `scoring.Predict`.

    Attributes:
        class_maps: uint8 `[N, *score_resolution]` of the first seed, filled image by image.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        task: Task,
        store: FeatureStore,
        heads: Mapping[int, Head],
    ) -> None:
        self.task, self.store, self.heads = task, store, heads
        self.size = settings.score_resolution
        shape = (len(store), *self.size)
        self.class_maps = shared_rows(task.cache_dir, shape, task.run.processes)

    @torch.inference_mode()
    def __call__(self, row: int, sizes: Sequence[Size]) -> list[dict[int, Tensor]]:
        tokens = tokens_of(self.store, np.array([row])).to(self.task.run.device)
        logits = {seed: head(tokens) for seed, head in self.heads.items()}
        first = next(iter(logits.values()))
        self.class_maps[row] = predicted_classes(first, self.size).numpy()
        return [
            {seed: predicted_classes(found, size) for seed, found in logits.items()}
            for size in sizes
        ]

    def fill(self) -> None:
        """Ask for every image once, where there is nothing to score."""
        rows = self.task.run.processes.share(range(len(self.store)))
        for row in self.task.run.track(rows, "predicting", len(rows)):
            self(row, [])
        self.task.run.processes.wait()
