"""Cluster maps against ground truth: counts of every image, matching, scores with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.cluster_matching import Rule, match_clusters
from leopart_kit.evaluation.resizing import resize_labels
from leopart_kit.evaluation.result import ClassScore, Matching, ScoreTable, Summary
from leopart_kit.metrics import (
    PerImageCounts,
    SegmentationScores,
    bootstrap_intervals,
    segmentation_scores,
    summarize,
)
from leopart_kit.progress import Track, quiet

Counts = Mapping[int, PerImageCounts]  # by clustering seed


@dataclass(frozen=True)
class Scored:
    """The fields of a `Result` that come from ground truth; see there."""

    scores: tuple[ScoreTable, ...] = ()
    matching: Matching | None = None
    confusion: np.ndarray | None = None
    per_image: Mapping[str, np.ndarray] = field(default_factory=dict)


def resolution_name(size: tuple[int, int] | None) -> str:
    """`"100x100"`, or `"full"` for each mask's own size."""
    return "full" if size is None else f"{size[0]}x{size[1]}"


def score_clusters(
    dataset: SegmentationDataset,
    indices: Sequence[int] | np.ndarray,
    maps: Mapping[int, np.ndarray],
    num_clusters: int,
    *,
    rule: Rule,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    track: Track = quiet,
) -> Scored:
    """Count, match at the headline's resolution and score cluster maps, see `count_cluster_maps`.

    A cluster without a class is background where the classes have one, else wrong everywhere.
    """
    counts = count_cluster_maps(
        dataset,
        indices,
        maps,
        num_clusters,
        resolution=resolution,
        score_resolution=score_resolution,
        track=track,
    )
    headline = counts[resolution_name(score_resolution)]
    unmatched = 0 if dataset.has_background else -1
    classes = {
        seed: match_clusters(per_image.total(), rule, unmatched)
        for seed, per_image in headline.items()
    }
    tables, per_image_outcomes = [], {}
    for name, by_seed in counts.items():
        table, outcomes = score_table(by_seed, classes, dataset.class_names, resolution=name)
        tables.append(table)
        per_image_outcomes[name] = outcomes
    first = next(iter(maps))
    return Scored(
        scores=tuple(tables),
        matching=Matching(rule, {seed: tuple(c.tolist()) for seed, c in classes.items()}),
        confusion=confusion_of_classes(headline[first].total(), classes[first]),
        per_image=per_image_outcomes,
    )


def count_cluster_maps(
    dataset: SegmentationDataset,
    indices: Sequence[int] | np.ndarray,
    maps: Mapping[int, np.ndarray],
    num_clusters: int,
    *,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    track: Track = quiet,
) -> dict[str, Counts]:
    """Pixels of every (class, cluster) pair of every image, by resolution name and seed.

    A mask is resized as in the papers: nearest to the network's `resolution`, then nearest to
    `score_resolution`; cluster maps `[N, h, w]` nearest to the size that is scored. `"full"`
    scores each mask at its own size.
    """
    names = [resolution_name(score_resolution), resolution_name(None)]
    counts: dict[str, Counts] = {
        name: {
            seed: PerImageCounts(dataset.num_classes, num_clusters, dataset.ignore_index)
            for seed in maps
        }
        for name in names
    }
    for row, index in enumerate(track(indices, "scoring", len(indices))):
        targets = scored_masks(dataset, int(index), resolution, score_resolution)
        for name, target in zip(names, targets, strict=True):
            size = (target.shape[0], target.shape[1])
            for seed, clusters in maps.items():
                prediction = resize_labels(torch.from_numpy(clusters[row]), size)
                counts[name][seed].update(target, prediction)
    return counts


def scored_masks(
    dataset: SegmentationDataset,
    index: int,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """The ground truth of one image as the headline scores it, and at its own size.

    Raises:
        ValueError: the image has no mask.
    """
    mask = dataset.load_mask(index)
    if mask is None:
        raise ValueError(f"{dataset.name}: no mask for {dataset.names[index]}")
    return resize_labels(resize_labels(mask, resolution), score_resolution), mask


def score_table(
    counts: Counts,
    cluster_to_class: Mapping[int, Tensor],
    class_names: Sequence[str],
    *,
    resolution: str,
    refinement: str = "none",
) -> tuple[ScoreTable, np.ndarray]:
    """Scores over seeds with intervals over images, the matching held fixed.

    Returns:
        The table, and the outcomes int64 `[seeds, N, C, 3]` (true positives, false positives,
        false negatives of each image) it was made from.
    """
    scores = [
        segmentation_scores(per_image.total(), cluster_to_class[seed])
        for seed, per_image in counts.items()
    ]
    outcomes = np.stack(
        [per_image.outcomes(cluster_to_class[seed]) for seed, per_image in counts.items()]
    )
    intervals = bootstrap_intervals(outcomes)

    def summary(name: str) -> Summary:
        values = [float(getattr(score, name)) for score in scores]
        mean, std = summarize(values)
        return Summary(mean, std, tuple(values), getattr(intervals, name))

    table = ScoreTable(
        resolution=resolution,
        refinement=refinement,
        miou=summary("miou"),
        miou_present=summary("miou_present"),
        pixel_accuracy=summary("pixel_accuracy"),
        per_class=_per_class(scores, intervals.iou, class_names),
    )
    return table, outcomes


def _per_class(
    scores: Sequence[SegmentationScores], intervals: np.ndarray, class_names: Sequence[str]
) -> tuple[ClassScore, ...]:
    iou = np.stack([np.asarray(score.iou) for score in scores])  # [seeds, C]
    pixels = np.asarray(scores[0].tp + scores[0].fn)
    rows = []
    for index, name in enumerate(class_names):
        mean, std = summarize(iou[:, index].tolist())
        low, high = intervals[index]
        interval = (float(low), float(high))
        rows.append(ClassScore(index, name, mean, std, interval, int(pixels[index])))
    return tuple(rows)


def confusion_of_classes(counts: Tensor, cluster_to_class: Tensor) -> np.ndarray:
    """int64 `[C, C + 1]`: rows are the ground truth, the last column is "no class"."""
    num_classes = counts.shape[0]
    columns = torch.where(cluster_to_class < 0, num_classes, cluster_to_class)
    confusion = torch.zeros(num_classes, num_classes + 1, dtype=torch.int64)
    return confusion.index_add_(1, columns, counts).numpy()
