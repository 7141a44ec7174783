"""Parts and objects of a model as the naming page shows them: crops, colour and frequency."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation import FeatureStore, picture_of
from leopart_kit.masks import PartModel
from leopart_kit.masks.part_classes import Level
from leopart_kit.progress import Track, quiet
from leopart_kit.report.naming import PartView
from leopart_kit.report.part_crops import Crop, PartPhoto, fitting_photos, part_crop
from leopart_kit.report.representative_patches import ClusterPatches, Patch, representative_patches

_MANY = 250  # parts up to which the page has twelve crops of each; it stays below 15 MB


@dataclass(frozen=True, eq=False)
class PartViews:
    """Parts by falling share, and photographs that show their crops, by the index of the image."""

    parts: list[PartView]
    photos: dict[int, PartPhoto]


def part_views(
    model: PartModel,
    dataset: SegmentationDataset,
    store: FeatureStore,
    level: Level = "parts",
    *,
    track: Track = quiet,
) -> PartViews:
    """One view a part or an object that occurs, by falling share.

    Args:
        store: tokens of the images of `dataset` at the model's resolution.
    """
    of_cluster = _units(model, level)
    num_units = int(of_cluster.max(initial=-1)) + 1
    tally = _Tally(of_cluster)
    num_best, num_uncertain = (8, 4) if num_units <= _MANY else (4, 2)
    chosen = representative_patches(
        tally.counted(_maps(model, store, track)),
        num_units,
        num_best=num_best,
        num_uncertain=num_uncertain,
    )
    drawn = _Drawn(model, dataset, store, of_cluster)
    crops = drawn.crops(chosen)
    total = max(sum(found.num_patches for found in chosen), 1)
    colours = cluster_palette(max(num_units, 1))  # those that exported masks have
    views = [
        PartView(
            id=unit,
            colour=colours[unit],
            share=100 * found.num_patches / total,
            images=np.array(tally.images[unit]),
            best=[crops[unit, patch] for patch in found.best],
            uncertain=[crops[unit, patch] for patch in found.uncertain],
            feature=tally.mean_feature(unit, model.centroids.numpy()),
            kind="part" if level == "parts" else "object",
            community=_community(model, unit) if level == "parts" else None,
        )
        for unit, found in enumerate(chosen)
        if found.num_patches
    ]
    views.sort(key=lambda view: (-view.share, view.id))
    return PartViews(views, fitting_photos(drawn.photos(_by_use(views))))


@dataclass
class _Tally:
    """Patches of each cluster, and images of each unit, counted as the maps pass by."""

    of_cluster: np.ndarray
    patches: np.ndarray = field(init=False)
    images: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.patches = np.zeros(len(self.of_cluster), dtype=np.int64)

    def counted(
        self, maps: Iterator[tuple[int, np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The maps with units in place of clusters."""
        for index, clusters, margins in maps:
            self.patches += np.bincount(clusters.ravel(), minlength=len(self.patches))
            units = self.of_cluster[clusters]
            for unit in np.unique(units[units >= 0]).tolist():
                self.images[unit].append(index)
            yield index, units, margins

    def mean_feature(self, unit: int, centroids: np.ndarray) -> np.ndarray:
        """The mean of a unit's patches: of its centroids, by their patches."""
        own = self.of_cluster == unit
        return np.average(centroids[own], axis=0, weights=self.patches[own])


def _by_use(views: Sequence[PartView]) -> list[int]:
    """Images of crops: those of the first crop of each part first, of large parts before others."""
    ranked = [[crop.image for crop in (*view.best, *view.uncertain)] for view in views]
    longest = max(map(len, ranked), default=0)
    rounds = (images[place] for place in range(longest) for images in ranked if place < len(images))
    return list(dict.fromkeys(rounds))


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
    model: PartModel, store: FeatureStore, track: Track
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Index, cluster of each patch and its margin, of each image."""
    indices = store.indices.tolist()
    for index in track(indices, "parts", len(indices)):
        labels, margins = model.assign_with_margin(store.token_map(index))
        yield index, labels.numpy(), margins.numpy()


@dataclass(frozen=True)
class _Drawn:
    """Pictures of a data set with the units of their patches."""

    model: PartModel
    dataset: SegmentationDataset
    store: FeatureStore
    of_cluster: np.ndarray

    def crops(self, chosen: Sequence[ClusterPatches]) -> dict[tuple[int, Patch], Crop]:
        """The crop of every chosen patch; each image is read once."""
        wanted: dict[int, list[tuple[int, Patch]]] = defaultdict(list)
        for unit, found in enumerate(chosen):
            for patch in (*found.best, *found.uncertain):
                wanted[patch.image].append((unit, patch))
        crops = {}
        for index, patches in wanted.items():
            image, labels = self._read(index)
            name = self.dataset.names[index]
            for unit, patch in patches:
                picture = part_crop(image, labels, patch.row, patch.column)
                crops[unit, patch] = Crop.of(picture, name, index, patch.row, patch.column)
        return crops

    def photos(self, indices: Sequence[int]) -> Iterator[tuple[int, PartPhoto]]:
        """Whole photographs, one after another as they are asked for."""
        for index in indices:
            image, labels = self._read(index)
            yield (
                index,
                PartPhoto.of(image, labels, self.dataset.names[index], len(indices)),
            )

    def _read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A picture uint8 `[H, W, 3]`, and the unit of each patch."""
        image = picture_of(self.dataset, index)[0].permute(1, 2, 0).numpy()
        clusters = self.model.assign(self.store.token_map(index)).numpy()
        return image, self.of_cluster[clusters]
