"""Scores of predictions that any method made, by the code that scores everything else.

Ids are classes, or clusters that are matched first. A prediction of its image's size is resized
like a mask; a smaller one is a map of patches, and is resized like cluster maps.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data import BrokenSampleError, SegmentationDataset, center_crops
from leopart_kit.evaluation.protocols.predictions.checks import (
    check_class_ids,
    check_cluster_ids,
    check_prediction_size,
)
from leopart_kit.evaluation.protocols.predictions.folder import (
    PredictedMaps,
    PredictionFolder,
    read_prediction,
)
from leopart_kit.evaluation.result import LabelsUsed
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import Scored, score_classes, score_predicted_clusters
from leopart_kit.evaluation.task import Clock, Measurement, RunSettings
from leopart_kit.metrics.scores import Rule
from leopart_kit.settings import Count, Size, settings, several

logger = logging.getLogger(__name__)

Step = Literal["fit", "select", "match"]
_SEED = 0  # predictions have none, and scores are kept by seed


@settings
class Predictions:
    """Content and scoring of a folder of predictions.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    name: ClassVar[str] = "predictions"

    kind: Literal["classes", "clusters"] = "classes"
    """classes: ids of the label set, 255 for none; clusters: ids that are matched first."""
    num_clusters: Count | None = None
    """K; null: the largest id plus one."""
    matching: Rule | None = None
    """Rule that gives clusters their classes; null: hungarian_iou for no more clusters than
    classes, else many_to_one_precision."""
    size: Size | None = None
    """`[H, W]` of predictions on images that were resized to another aspect; null: their image's
    size, or smaller with its aspect."""
    missing: Literal["error", "leave_out"] = "error"
    """Samples whose prediction is missing or cannot be read."""
    labels_used: several(Step, at_least=0) | None = None  # type: ignore[valid-type]
    """Steps in which the method saw ground truth; null: fit for classes, none for clusters."""
    crop: Count | None = None
    """Side of the centre crops that were predicted, 320 for 27 classes; null: whole images."""
    resolution: Size = (448, 448)
    """`[H, W]` to which masks are resized first."""
    score_resolution: Size = (100, 100)
    """`[H, W]` at which the headline is scored; full size is scored too."""

    def __post_init__(self) -> None:
        if self.kind == "classes" and (self.num_clusters or self.matching):
            raise ValueError("num_clusters and matching are for clusters: set kind=clusters")

    def view(self, dataset: SegmentationDataset) -> SegmentationDataset:
        """The images that were predicted: whole, or their centre crops."""
        return dataset if self.crop is None else center_crops(dataset, self.crop)

    def measure(
        self,
        folder: PredictionFolder,
        dataset: SegmentationDataset,
        usable: Sequence[int],
        run: RunSettings,
    ) -> Measurement:
        """Check every prediction of the usable samples, then score them.

        Raises:
            ValueError: no masks to score against, a prediction of another size, or one that is
                missing or broken where that is an error; names the file.
            UnknownClassError: an id outside the label set, or beyond `num_clusters`.
        """
        if not dataset.num_classes:
            raise ValueError(f"{dataset.name} has no masks, so predictions cannot be scored")
        clock = Clock()
        files = folder.match(dataset.names)
        self._check_missing(folder, [dataset.names[i] for i in usable], files)
        good, broken = self._check_all(dataset, usable, files, run)
        clock.lap("checking")
        resized = sum(item.resized for item in good.values())
        details = {"predictions": len(good), "predictions_resized": resized}
        maps = PredictedMaps([files[dataset.names[index]] for index in good])
        clusters = self.kind == "clusters"
        if clusters:
            highest = max(item.highest for item in good.values())
            details["num_clusters"] = self.num_clusters or highest + 1
        scored = self._score(dataset, list(good), maps, details.get("num_clusters"), run)
        clock.lap("scoring")
        return Measurement(
            indices=np.array(list(good)),
            labels_used=self._labels_used(),
            timing_seconds=clock.seconds,
            scored=scored,
            details=details,
            broken=broken,
            cluster_maps=maps if clusters else None,
            class_maps=None if clusters else maps,
        )

    def _check_all(
        self,
        dataset: SegmentationDataset,
        usable: Sequence[int],
        files: Mapping[str, Path],
        run: RunSettings,
    ) -> tuple[dict[int, _Checked], dict[int, str]]:
        """Facts about the predictions, and reasons for missing ones, both by the sample's index."""
        mine = run.processes.share(list(usable))
        found = [
            self._check(dataset, index, files, strict=run.strict or self.missing == "error")
            for index in run.track(mine, "checking predictions", len(mine))
        ]
        checked = dict(zip(usable, run.processes.join(found), strict=True))
        good = {index: item for index, item in checked.items() if isinstance(item, _Checked)}
        broken = {index: item for index, item in checked.items() if isinstance(item, str)}
        if not good:
            raise ValueError(f"no prediction can be used: {next(iter(broken.values()))}")
        resized = sum(item.resized for item in good.values())
        if resized:
            logger.info("%d of %d predictions were resized (nearest)", resized, len(good))
        return good, broken

    def _check(
        self, dataset: SegmentationDataset, index: int, files: Mapping[str, Path], *, strict: bool
    ) -> _Checked | str:
        file = files.get(dataset.names[index])
        if file is None:
            return f"no prediction for {dataset.names[index]}"
        try:
            ids = read_prediction(file)
        except BrokenSampleError as error:
            if strict:
                raise
            logger.warning("left out: %s", error)
            return str(error)
        image_size = dataset.image_size(index)
        check_prediction_size(file, ids.shape, image_size, self.size)
        if self.kind == "classes":
            check_class_ids(file, ids, dataset)
        else:
            check_cluster_ids(file, ids, self.num_clusters)
        return _Checked(int(ids.max()), ids.shape != image_size)

    def _check_missing(
        self, folder: PredictionFolder, names: Sequence[str], files: Mapping[str, Path]
    ) -> None:
        missing = [name for name in names if name not in files]
        if not missing:
            return
        message = (
            f"{folder.root} has no prediction for {len(missing)} of {len(names)} samples: "
            f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}"
        )
        if self.missing == "error" or len(missing) == len(names):
            raise ValueError(
                f"{message}; name files as the samples, or set predictions.missing=leave_out to "
                "score the others"
            )
        logger.warning("left out: %s", message)

    def _score(
        self,
        dataset: SegmentationDataset,
        indices: Sequence[int],
        maps: PredictedMaps,
        num_clusters: int | None,
        run: RunSettings,
    ) -> Scored:
        """Score clusters, or classes where there is no number of clusters."""

        def predict(row: int, sizes: Sequence[Size]) -> list[dict[int, Tensor]]:
            labels = torch.from_numpy(maps[row])
            if num_clusters is None:
                labels = torch.where(labels == dataset.ignore_index, dataset.num_classes, labels)
            coarse, full = sizes
            start = resize_labels(labels, self.resolution) if labels.shape == full else labels
            return [{_SEED: resize_labels(start, coarse)}, {_SEED: resize_labels(labels, full)}]

        how: dict[str, Any] = {
            "resolution": self.resolution,
            "score_resolution": self.score_resolution,
            "track": run.track,
            "processes": run.processes,
        }
        if num_clusters is None:
            logger.info("ids are classes of the label set; predictions.kind=clusters matches them")
            return score_classes(dataset, indices, predict, (_SEED,), **how)
        one_to_one = num_clusters <= dataset.num_classes
        rule = self.matching or ("hungarian_iou" if one_to_one else "many_to_one_precision")
        logger.info("%d clusters, matched by %s", num_clusters, rule)
        return score_predicted_clusters(
            dataset, indices, predict, (_SEED,), num_clusters, rule=rule, **how
        )

    def _labels_used(self) -> LabelsUsed:
        steps = self.labels_used
        if steps is None:
            steps = ("fit",) if self.kind == "classes" else ()
        used = {step: step in steps for step in get_args(Step)}
        if self.kind == "clusters":
            used["match"] = True
        return LabelsUsed(**used)


@dataclass(frozen=True)
class _Checked:
    """The highest id of a prediction, and True if its size is not its image's."""

    highest: int
    resized: bool
