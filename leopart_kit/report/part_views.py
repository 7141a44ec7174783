"""Parts and objects of a model as the naming page shows them: crops, colour and frequency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation import FeatureStore, picture_of
from leopart_kit.masks import PartModel
from leopart_kit.masks.part_classes import Level
from leopart_kit.progress import Track, quiet
from leopart_kit.report.naming import PartView, part_crop
from leopart_kit.report.representative_patches import ClusterPatches, Patch, representative_patches


def part_views(
    model: PartModel,
    dataset: SegmentationDataset,
    store: FeatureStore,
    level: Level = "parts",
    *,
    track: Track = quiet,
) -> list[PartView]:
    """One view a part or an object that occurs, by falling share.

    Args:
        store: tokens of the images of `dataset` at the model's resolution.
    """
    of_cluster = _units(model, level)
    num_units = int(of_cluster.max(initial=-1)) + 1
    maps = _maps(model, store, of_cluster, track)
    chosen = representative_patches(maps, num_units)
    crops = _crops(model, dataset, store, of_cluster, chosen)
    total = max(sum(found.num_patches for found in chosen), 1)
    colours = cluster_palette(max(num_units, 1))  # those that exported masks have
    views = [
        PartView(
            id=unit,
            colour=colours[unit],
            share=100 * found.num_patches / total,
            num_images=found.num_images,
            best=[crops[unit, patch] for patch in found.best],
            uncertain=[crops[unit, patch] for patch in found.uncertain],
            kind="part" if level == "parts" else "object",
            community=_community(model, unit) if level == "parts" else None,
        )
        for unit, found in enumerate(chosen)
        if found.num_patches
    ]
    return sorted(views, key=lambda view: (-view.share, view.id))


def _units(model: PartModel, level: Level) -> np.ndarray:
    """Part or object of each cluster `[K]`, −1 for background."""
    if level == "objects" and model.communities is not None:
        units = model.communities
    else:
        units = np.arange(model.num_clusters)
    return np.where(model.foreground, units, -1)


def _community(model: PartModel, part: int) -> int | None:
    if model.communities is None or model.communities[part] < 0:
        return None
    return int(model.communities[part])


def _maps(
    model: PartModel, store: FeatureStore, of_cluster: np.ndarray, track: Track
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    indices = store.indices.tolist()
    for index in track(indices, "parts", len(indices)):
        labels, margins = model.assign_with_margin(store.token_map(index))
        yield index, of_cluster[labels.numpy()], margins.numpy()


def _crops(
    model: PartModel,
    dataset: SegmentationDataset,
    store: FeatureStore,
    of_cluster: np.ndarray,
    chosen: Sequence[ClusterPatches],
) -> dict[tuple[int, Patch], np.ndarray]:
    """The crop of every chosen patch; each image is read once."""
    wanted: dict[int, list[tuple[int, Patch]]] = defaultdict(list)
    for unit, found in enumerate(chosen):
        for patch in (*found.best, *found.uncertain):
            wanted[patch.image].append((unit, patch))
    crops = {}
    for index, patches in wanted.items():
        image = picture_of(dataset, index)[0].permute(1, 2, 0).numpy()
        labels = of_cluster[model.assign(store.token_map(index)).numpy()]
        for unit, patch in patches:
            crops[unit, patch] = part_crop(image, labels, patch.row, patch.column)
    return crops
