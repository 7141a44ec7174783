"""Scores after the borders of a segmentation were moved to the edges of its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.result import ScoreTable
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import Scored, resolution_name, score_table, scored_masks
from leopart_kit.masks import Refinement, refine_many
from leopart_kit.metrics import PerImageCounts
from leopart_kit.progress import Track, quiet


def with_refinements(
    scored: Scored,
    dataset: SegmentationDataset,
    indices: np.ndarray,
    cluster_maps: Mapping[int, np.ndarray],
    methods: Sequence[Refinement],
    *,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    num_processes: int = 1,
    track: Track = quiet,
) -> Scored:
    """The scores, and behind them the tables of every refinement of matched clusters.

    Args:
        scored: of these clusters, whose matching is kept.
        cluster_maps: by seed, `[N, h, w]` of the images `indices`; some of the seeds will do.

    Raises:
        ValueError: as `refined_tables`.
    """
    if scored.matching is None:
        return scored
    tables, classes = list(scored.scores), scored.matching.cluster_to_class
    class_maps = {seed: np.array(classes[seed])[maps] for seed, maps in cluster_maps.items()}
    for method in methods:
        tables += refined_tables(
            dataset,
            indices,
            class_maps,
            method,
            resolution=resolution,
            score_resolution=score_resolution,
            num_processes=num_processes,
            track=track,
        )
    return replace(scored, scores=tuple(tables))


def refined_tables(
    dataset: SegmentationDataset,
    indices: np.ndarray,
    class_maps: Mapping[int, np.ndarray],
    method: Refinement,
    *,
    resolution: tuple[int, int],
    score_resolution: tuple[int, int],
    num_processes: int = 1,
    track: Track = quiet,
) -> tuple[ScoreTable, ScoreTable]:
    """The tables at `score_resolution` and at full size, as `score_clusters` gives them.

    The refined map has the size of the image; for `score_resolution` it is resized as a mask is.

    Args:
        class_maps: by seed, class ids `[N, h, w]` of the images `indices`, below 0 for no class.

    Raises:
        ValueError: an image or a mask cannot be read, or the refinement is not installed.
    """
    num_classes = dataset.num_classes
    names = [resolution_name(score_resolution), resolution_name(None)]
    counts = {
        name: {
            seed: PerImageCounts(num_classes, num_classes + 1, dataset.ignore_index)
            for seed in class_maps
        }
        for name in names
    }
    for seed, maps in class_maps.items():
        items = _items(dataset, indices, np.where(maps < 0, num_classes, maps))
        refined = refine_many(items, len(indices), method, num_processes=num_processes, track=track)
        for index, (_, found) in zip(indices.tolist(), refined, strict=True):
            small, mask = scored_masks(dataset, index, resolution, score_resolution)
            prediction = torch.from_numpy(found)
            counts[names[1]][seed].update(mask, prediction)
            prediction = resize_labels(resize_labels(prediction, resolution), score_resolution)
            counts[names[0]][seed].update(small, prediction)
    classes = torch.tensor([*range(num_classes), -1])
    matching = dict.fromkeys(class_maps, classes)
    coarse, full = (
        score_table(
            counts[name], matching, dataset.class_names, resolution=name, refinement=method
        )[0]
        for name in names
    )
    return coarse, full


def _items(
    dataset: SegmentationDataset, indices: np.ndarray, maps: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for index, class_map in zip(indices.tolist(), maps, strict=True):
        image = dataset.load_image(index).permute(1, 2, 0).numpy()
        yield dataset.names[int(index)], np.ascontiguousarray(image), class_map
