"""The patches that show best what a cluster is, and those where it is least sure of itself."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Patch(NamedTuple):
    """A patch by the index of its image and its place in the map, with its margin."""

    image: int
    row: int
    column: int
    margin: float


_Entry = tuple[float, int, Patch]  # score, minus the image's index, patch


@dataclass(frozen=True)
class ClusterPatches:
    """Patches that stand for a cluster, and how much of the images it covers.

    Attributes:
        best: largest margin first.
        uncertain: smallest margin first; none of them among the best.
        num_patches, num_images: how many patches it has, and in how many images.
    """

    best: tuple[Patch, ...]
    uncertain: tuple[Patch, ...]
    num_patches: int
    num_images: int


def representative_patches(
    maps: Iterable[tuple[int, np.ndarray, np.ndarray]],
    num_clusters: int,
    *,
    num_best: int = 8,
    num_uncertain: int = 4,
    per_image: int = 1,
) -> list[ClusterPatches]:
    """Choose patches for every cluster in one pass; memory does not grow with the images.

    Args:
        maps: for each image, once, its index, labels integers `[h, w]` (below 0: no cluster), and
            margins `[h, w]`: by how much the nearest centroid is nearer than the second, such as
            1 − d₁ / d₂.
        num_clusters: K; labels lie below it.
        num_best, num_uncertain: how many patches to choose, at most.
        per_image: how many of either kind may come from one image.

    Returns:
        K entries, those of clusters that never occur empty. Between equal margins the image of
        lower index wins.

    Raises:
        ValueError: a label of `num_clusters` or more, or labels and margins that differ in size.
    """
    best: list[list[_Entry]] = [[] for _ in range(num_clusters)]
    uncertain: list[list[_Entry]] = [[] for _ in range(num_clusters)]
    num_patches, num_images = np.zeros((2, num_clusters), dtype=np.int64)
    for image, labels, margins in maps:
        _check(image, labels, margins, num_clusters)
        for cluster, places in _places_by_margin(labels, margins):
            num_patches[cluster] += len(places)
            num_images[cluster] += 1
            for patch in _patches(image, places[: -per_image - 1 : -1], margins):
                _keep(best[cluster], num_best, patch.margin, patch)
            # More than wanted: some may turn out to be among the best.
            for patch in _patches(image, places[:per_image], margins):
                _keep(uncertain[cluster], num_best + num_uncertain, -patch.margin, patch)
    chosen = []
    for cluster in range(num_clusters):
        sure = _descending(best[cluster])
        unsure = [patch for patch in _descending(uncertain[cluster]) if patch not in sure]
        counts = int(num_patches[cluster]), int(num_images[cluster])
        chosen.append(ClusterPatches(tuple(sure), tuple(unsure[:num_uncertain]), *counts))
    return chosen


def _places_by_margin(labels: np.ndarray, margins: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each cluster that occurs, with the flat positions of its patches by rising margin."""
    order = np.lexsort((margins.ravel(), labels.ravel()))
    ordered = labels.ravel()[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    for start, places in zip(starts, np.split(order, starts[1:]), strict=True):
        if ordered[start] >= 0:
            yield int(ordered[start]), places


def _patches(image: int, places: np.ndarray, margins: np.ndarray) -> list[Patch]:
    rows, columns = np.unravel_index(places, margins.shape)
    found = zip(rows.tolist(), columns.tolist(), margins[rows, columns].tolist(), strict=True)
    return [Patch(image, *values) for values in found]


def _keep(heap: list[_Entry], size: int, score: float, patch: Patch) -> None:
    """Add the patch to the `size` ones of highest score; of equal ones the earlier image stays."""
    entry = (score, -patch.image, patch)
    if len(heap) < size:
        heapq.heappush(heap, entry)
    elif heap:
        heapq.heappushpop(heap, entry)


def _descending(heap: list[_Entry]) -> list[Patch]:
    return [patch for _, _, patch in sorted(heap, reverse=True)]


def _check(image: int, labels: np.ndarray, margins: np.ndarray, num_clusters: int) -> None:
    if labels.ndim != 2 or labels.size == 0 or labels.shape != margins.shape:
        raise ValueError(
            f"image {image}: labels and margins must be [h, w] of one size, got {labels.shape} and "
            f"{margins.shape}"
        )
    if labels.max() >= num_clusters:
        raise ValueError(
            f"image {image}: label {int(labels.max())}, but there are {num_clusters} clusters"
        )
