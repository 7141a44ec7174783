"""Cluster maps against ground truth: counts of every image, matching, scores with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.result import ClassScore, Matching, ScoreTable, Summary
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.metrics import (
    PerImageCounts,
    SegmentationScores,
    bootstrap_intervals,
    segmentation_scores,
    summarize,
)
from leopart_kit.metrics.scores import Rule, match_clusters
from leopart_kit.processes import ALONE, Processes
from leopart_kit.progress import Track, quiet

Counts = Mapping[int, PerImageCounts]  # by clustering seed

Size = tuple[int, int]  # (H, W)

# From the row of an image and sizes to its labels `[H, W]` at each size, by seed.
Predict = Callable[[int, Sequence[Size]], Sequence[Mapping[int, Tensor]]]


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
    unmatched: int | None = None,
    track: Track = quiet,
    processes: Processes = ALONE,
) -> Scored:
    """Count, match at the headline's resolution and score cluster maps `[N, h, w]`.

    Maps are resized by nearest neighbour to the size that is scored, masks as `count_labels` says.
    See `score_predicted_clusters` for the rest.
    """

    def predict(row: int, sizes: Sequence[Size]) -> list[dict[int, Tensor]]:
        found = {seed: torch.from_numpy(clusters[row]) for seed, clusters in maps.items()}
        return [
            {seed: resize_labels(labels, size) for seed, labels in found.items()} for size in sizes
        ]

    return score_predicted_clusters(
        dataset,
        indices,
        predict,
        tuple(maps),
        num_clusters,
        rule=rule,
        resolution=resolution,
        score_resolution=score_resolution,
        unmatched=unmatched,
        track=track,
        processes=processes,
    )


def score_predicted_clusters(
    dataset: SegmentationDataset,
    indices: Sequence[int] | np.ndarray,
    predict: Predict,
    seeds: Sequence[int],
    num_clusters: int,
    *,
    rule: Rule,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    unmatched: int | None = None,
    track: Track = quiet,
    processes: Processes = ALONE,
) -> Scored:
    """Score clusters 0 to `num_clusters` - 1 that `predict` gives, see `count_labels`.

    They are matched at the headline's resolution. A cluster without a class gets the class
    `unmatched`, -1 for wrong everywhere. By default it is background where the classes have one,
    else wrong.
    """
    counts = count_labels(
        dataset,
        indices,
        predict,
        seeds,
        num_clusters,
        resolution=resolution,
        score_resolution=score_resolution,
        track=track,
        processes=processes,
    )
    headline = counts[resolution_name(score_resolution)]
    if unmatched is None:
        unmatched = 0 if dataset.has_background else -1
    classes = {
        seed: match_clusters(per_image.total(), rule, unmatched)
        for seed, per_image in headline.items()
    }
    matching = Matching(rule, {seed: tuple(c.tolist()) for seed, c in classes.items()})
    return _scored(counts, classes, matching, dataset.class_names)


def itself(seed: int) -> int:
    """The draw of seeds that all differ."""
    return seed


def score_classes(
    dataset: SegmentationDataset,
    indices: Sequence[int] | np.ndarray,
    predict: Predict,
    seeds: Sequence[int],
    *,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    draw: Callable[[int], int] = itself,
    track: Track = quiet,
    processes: Processes = ALONE,
) -> Scored:
    """Score predicted classes, see `count_labels`; nothing is matched.

    `predict` gives class ids from 0 to C, where C, the number of classes, stands for no class.

    Args:
        draw: from a seed to what it draws; seeds of one draw are predicted and counted once.
    """
    num_classes = dataset.num_classes
    drawn = count_labels(
        dataset,
        indices,
        predict,
        tuple(dict.fromkeys(map(draw, seeds))),
        num_classes + 1,
        resolution=resolution,
        score_resolution=score_resolution,
        track=track,
        processes=processes,
    )
    counts = {name: {seed: found[draw(seed)] for seed in seeds} for name, found in drawn.items()}
    classes = dict.fromkeys(seeds, torch.tensor([*range(num_classes), -1]))
    return _scored(counts, classes, None, dataset.class_names)


def _scored(
    counts: Mapping[str, Counts],
    classes: Mapping[int, Tensor],
    matching: Matching | None,
    class_names: Sequence[str],
) -> Scored:
    tables, per_image_outcomes = [], {}
    for name, by_seed in counts.items():
        table, outcomes = score_table(by_seed, classes, class_names, resolution=name)
        tables.append(table)
        per_image_outcomes[name] = outcomes
    headline, first = next(iter(counts.values())), next(iter(classes))
    return Scored(
        scores=tuple(tables),
        matching=matching,
        confusion=confusion_of_classes(headline[first].total(), classes[first]),
        per_image=per_image_outcomes,
    )


def count_labels(
    dataset: SegmentationDataset,
    indices: Sequence[int] | np.ndarray,
    predict: Predict,
    seeds: Sequence[int],
    num_labels: int,
    *,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    track: Track = quiet,
    processes: Processes = ALONE,
) -> dict[str, Counts]:
    """Pixels of every (class, label) pair of every image, by resolution name and seed.

    A mask is resized as in the papers: nearest to the network's `resolution`, then nearest to
    `score_resolution`. `"full"` scores each mask at its own size.
    """
    names = [resolution_name(score_resolution), resolution_name(None)]
    mine = {
        name: {
            seed: PerImageCounts(dataset.num_classes, num_labels, dataset.ignore_index)
            for seed in seeds
        }
        for name in names
    }
    rows = processes.share(range(len(indices)))
    for row in track(rows, "scoring", len(rows)):
        targets = scored_masks(dataset, int(indices[row]), resolution, score_resolution)
        found = predict(row, [(target.shape[0], target.shape[1]) for target in targets])
        for name, target, labels in zip(names, targets, found, strict=True):
            for seed, counts in mine[name].items():
                counts.update(target, labels[seed])
    shares = processes.gather(mine)
    return {
        name: {seed: PerImageCounts.interleave([s[name][seed] for s in shares]) for seed in seeds}
        for name in names
    }


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
        miou_union=summary("miou_union"),
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
