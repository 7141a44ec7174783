"""Patches with the most frequent class of their pixels, read a few images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from leopart_kit.clustering.projection import Standardizer
from leopart_kit.data import IGNORE_INDEX, SegmentationDataset
from leopart_kit.evaluation.protocols.in_context.labels import patch_class_counts
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.store.features import FeatureStore
from leopart_kit.progress import Track, quiet

_IMAGES = 64  # read at a time


@dataclass(frozen=True)
class Patches:
    """Standardised patch tokens of a store.

    Attributes:
        scaler: mean and deviation of the training images' tokens.
        places: the images, by their place in `store.indices`.
        labels: uint8 `[len(store), h·w]`, 255 for patches without a class; None where none is
            known.
    """

    store: FeatureStore
    scaler: Standardizer
    places: np.ndarray
    labels: np.ndarray | None = None

    def of(self, places: np.ndarray) -> Patches:
        """The patches of other images of the store."""
        return Patches(self.store, self.scaler, places, self.labels)

    def tokens(self, images: int = _IMAGES) -> Iterator[Tensor]:
        """All tokens in order, float32 `[n·h·w, D]`, of `images` images at a time."""
        for start in range(0, len(self.places), images):
            rows = self.store.indices[self.places[start : start + images]]
            block = torch.from_numpy(self.store.tokens[rows]).float().flatten(0, 1)
            yield self.scaler.transform(block)

    def labelled(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Tokens `[m, D]` and classes int64 `[m]` of the patches that have one, block by block."""
        for start, block in zip(range(0, len(self.places), _IMAGES), self.tokens(), strict=True):
            labels = self._labels(self.places[start : start + _IMAGES])
            known = labels != IGNORE_INDEX
            yield block[known], labels[known]

    def classes(self) -> Tensor:
        """Class of each labelled patch in order, uint8 `[M]`."""
        labels = self._labels(self.places).to(torch.uint8)
        return labels[labels != IGNORE_INDEX]

    def _labels(self, places: np.ndarray) -> Tensor:
        assert self.labels is not None
        return torch.from_numpy(self.labels[places].astype(np.int64)).flatten()


def most_frequent_classes(counts: Tensor) -> Tensor:
    """uint8 `[…]` from counts of pixels `[…, C]`: the most frequent class, the first of equal ones.

    255 for a patch without a counted pixel.
    """
    best = counts.argmax(dim=-1)
    return torch.where(counts.sum(dim=-1) > 0, best, IGNORE_INDEX).to(torch.uint8)


def label_patches(
    dataset: SegmentationDataset,
    indices: Sequence[int],
    resolution: tuple[int, int],
    patch_size: int,
    track: Track = quiet,
) -> np.ndarray:
    """The most frequent class of every patch of some images, uint8 `[N, h·w]`.

    Raises:
        ValueError: an image without a mask.
    """
    found = []
    for index in track(indices, "labels of patches", len(indices)):
        mask = dataset.load_mask(index)
        if mask is None:
            raise ValueError(f"{dataset.name}: no mask for {dataset.names[index]}")
        masks = resize_labels(mask, resolution)[None]
        counts = patch_class_counts(masks, patch_size, dataset.num_classes)
        found.append(most_frequent_classes(counts).flatten().numpy())
    return np.stack(found)
