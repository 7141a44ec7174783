"""Facts about unsupervised segmentation that a result tells beside its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from leopart_kit.evaluation.protocols.unsupervised.selection import Candidate, table
from leopart_kit.evaluation.protocols.unsupervised.stages import Stages
from leopart_kit.evaluation.result import ObjectView, ScoreTable
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import Scored
from leopart_kit.metrics import BoundaryCounts, boundary_counts, foreground_jaccard

Way = Literal[
    "kmeans", "learned_clusters", "foreground_kmeans", "communities", "upper_bound", "linear_probe"
]
ChosenBy = Literal["stability", "labels"]

_DOUBTFUL = 0.2  # confidence below which an image may show no foreground at all


@dataclass(frozen=True)
class Choice:
    """The choice, and what else was tried.

    Attributes:
        threshold: of the foreground, None where it has none.
        foreground_iou: IoU in percent on training images of each threshold, where labels chose.
    """

    threshold: float | None
    best: Candidate
    tried: tuple[Candidate, ...]
    foreground_iou: Mapping[str, Any]


@dataclass(frozen=True)
class Segmentation:
    """Parts and objects of all images.

    Attributes:
        parts: by seed, int `[N, h, w]`; 0 is background.
        objects: the same with the parts merged; 0 is what has no edge, background as a rule.
        object_of_part: by seed, `[K + 1]`.
        edges: by seed, weights `[K + 1, K + 1]` of the graph, 0 where there is no edge.
    """

    choice: Choice
    parts: Mapping[int, np.ndarray]
    objects: Mapping[int, np.ndarray]
    object_of_part: Mapping[int, np.ndarray]
    edges: Mapping[int, Tensor]


def segmentation_details(stages: Stages, segmentation: Segmentation) -> dict[str, Any]:
    """Choices and findings, the partition of every seed included."""
    choice = segmentation.choice
    merging = choice.best.merging
    first = next(iter(segmentation.objects.values()))
    return {
        "num_clusters": int(first.max()) + 1,
        "num_images": {"scored": len(stages.store), "train": len(stages.train_indices)},
        "chosen": {
            "num_clusters": choice.best.num_clusters,
            "edge_threshold": merging.edge_threshold,
            "markov_time": merging.markov_time,
            "preferred_communities": merging.preferred_communities,
            **({} if choice.threshold is None else {"foreground_threshold": choice.threshold}),
            **choice.best.parts,
        },
        "tried": table(choice.tried),
        "tried_foreground_iou": dict(choice.foreground_iou),
        "communities": [
            {
                "seed": seed,
                "num_communities": int(objects.max()),
                "parts_without_edge": int((objects[1:] == 0).sum()),
                "object_of_part": objects.tolist(),
            }
            for seed, objects in segmentation.object_of_part.items()
        ],
    }


def foreground_details(stages: Stages, threshold: float | None) -> dict[str, Any]:
    """Share of the foreground, images to doubt, and the Jaccard index where it is known."""
    masks = stages.foreground_masks(threshold)[stages.scored]
    attention = stages.attention[stages.scored]
    confidence = stages.confidence[stages.scored]
    names = stages.task.dataset.names
    empty = [names[i] for i in stages.store.indices[~masks.any(axis=(1, 2))]]
    found: dict[str, Any] = {
        "share_of_patches": float(masks.mean()),
        "images_without_foreground": empty,
        "images_in_doubt": int((confidence < _DOUBTFUL).sum()),
        "mean_confidence": float(confidence.mean()),
    }
    if threshold is not None:
        found["clusters"] = int((stages.foreground.precision >= threshold).sum())
    if stages.task.dataset.has_background:
        found["jaccard"] = _mean_jaccard(stages, masks)
        found["jaccard_of_attention"] = _mean_jaccard(stages, attention)
    return {"foreground": found}


def boundary_details(stages: Stages, objects: np.ndarray, scored: Scored) -> dict[str, Any]:
    """F-measure of the outlines of the named objects within 16 px at 448 × 448, first seed."""
    if scored.matching is None:
        return {}
    classes = np.array(next(iter(scored.matching.cluster_to_class.values())))
    size, counts = stages.settings.resolution, BoundaryCounts()
    for row, index in enumerate(stages.store.indices.tolist()):
        mask = stages.task.dataset.load_mask(index)
        if mask is not None:
            predicted = resize_labels(torch.from_numpy(classes[objects[row]]), size)
            counts = counts + boundary_counts(resize_labels(mask, size), predicted)
    return {
        "boundary": {
            "f_measure": counts.f_measure,
            "precision": counts.precision,
            "recall": counts.recall,
        }
    }


def object_view(stages: Stages, segmentation: Segmentation, num_pictures: int = 6) -> ObjectView:
    """The first seed, with the attention of a few images spread over the set."""
    seed, rows = stages.settings.seeds[0], stages.scored
    weights = segmentation.edges[seed]
    pairs = weights.triu().nonzero().tolist()
    store = stages.attention_store
    shown = np.unique(np.linspace(0, len(store) - 1, num_pictures).round().astype(int)).tolist()
    return ObjectView(
        part_maps=segmentation.parts[seed][rows],
        object_of_part=segmentation.object_of_part[seed],
        edges=tuple((i, j, float(weights[i, j])) for i, j in pairs),
        attention={
            row: store.token_map(int(store.indices[row])).permute(2, 0, 1).half().numpy()
            for row in shown
        },
        foreground=stages.foreground_masks(segmentation.choice.threshold)[rows],
    )


def comparison_rows(
    name: str, scored: Scored, kind: Way, chosen_by: ChosenBy | None = None
) -> list[dict[str, Any]]:
    """Lines of the table that sets ways to segment the same images side by side.

    One for the headline, and one for each refinement of it.

    Args:
        name: for people; programs go by `kind`, `chosen_by` and `refinement`.
        chosen_by: what settings were chosen by, None where there was nothing to choose.
    """
    headline = scored.scores[0]
    tables = [table for table in scored.scores if table.resolution == headline.resolution]
    return [
        {
            "segmentation": name if table is headline else f"{name}, {table.refinement}",
            "kind": kind,
            "chosen_by": chosen_by,
            "refinement": table.refinement,
            **_comparison_figures(table),
        }
        for table in tables
    ]


def _comparison_figures(headline: ScoreTable) -> dict[str, Any]:
    return {
        "num_seeds": len(headline.miou.per_seed),
        "miou": headline.miou.mean,
        "std": headline.miou.std,
        "miou_present": headline.miou_present.mean,
        "std_present": headline.miou_present.std,
        "miou_union": headline.miou_union.mean,
        "std_union": headline.miou_union.std,
        "pixel_accuracy": headline.pixel_accuracy.mean,
    }


def _mean_jaccard(stages: Stages, masks: np.ndarray) -> float:
    dataset, size = stages.task.dataset, stages.settings.resolution
    rates = []
    for row, index in enumerate(stages.store.indices.tolist()):
        target = dataset.load_mask(index)
        if target is not None:
            found = resize_labels(torch.from_numpy(masks[row]), size)
            rates.append(float(foreground_jaccard(found, resize_labels(target, size))))
    return float(np.mean(rates))
