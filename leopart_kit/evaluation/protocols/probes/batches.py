"""Tokens and masks of training images in batches: from the store, or augmented and encoded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation.protocols.training_split.augmented_images import AugmentedImages
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.store.features import FeatureStore

Size = tuple[int, int]


class ProbeBatch(NamedTuple):
    """Tokens `[B, D, h, w]` and class ids int64 `[B, H, W]` of a few images."""

    tokens: Tensor
    targets: Tensor


# The batches of one epoch; the same for the same epoch, whatever came before.
Epoch = Callable[[int], Iterator[ProbeBatch]]


def small_targets(
    dataset: SegmentationDataset, indices: Sequence[int], resolution: Size, size: Size
) -> Tensor:
    """Masks as the network sees them, resized twice by nearest neighbour: uint8 `[N, *size]`."""
    masks = []
    for index in indices:
        mask = dataset.load_mask(index)
        if mask is None:
            raise ValueError(f"{dataset.name}: no mask for {dataset.names[index]}")
        masks.append(resize_labels(resize_labels(mask, resolution), size).to(torch.uint8))
    return torch.stack(masks)


def epoch_order(num_images: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation that depends on nothing but seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(num_images)


def stored_batches(
    store: FeatureStore, targets: Tensor, rows: np.ndarray, batch_size: int, seed: int
) -> Epoch:
    """Batches of stored tokens, shuffled anew in every epoch.

    Args:
        targets: uint8 `[N, H, W]`, in the order of `store.indices`.
        rows: the images to use, by their place in that order.
    """

    def epoch(number: int) -> Iterator[ProbeBatch]:
        order = rows[epoch_order(len(rows), seed, number)]
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            yield ProbeBatch(tokens_of(store, chosen), targets[torch.from_numpy(chosen)].long())

    return epoch


def tokens_of(store: FeatureStore, rows: np.ndarray) -> Tensor:
    """Stored tokens of a few images by place, float32 `[B, D, h, w]`."""
    tokens = torch.from_numpy(store.tokens[store.indices[rows]]).float()
    return tokens.unflatten(1, store.grid).permute(0, 3, 1, 2)


def augmented_batches(
    encoder: Encoder,
    dataset: SegmentationDataset,
    indices: Sequence[int],
    *,
    resolution: Size,
    size: Size,
    crop_scale: tuple[float, float],
    batch_size: int,
    seed: int,
    num_workers: int = 0,
    device: str = "cpu",
) -> Epoch:
    """Batches of random crops, mirrored half of the time, encoded as they are needed.

    They are resized to `resolution`, rounded up to whole patches.
    """
    encoder = encoder.to(device).eval()
    resolution = whole_patches(resolution, encoder.patch_size)

    def epoch(number: int) -> Iterator[ProbeBatch]:
        crops = _Crops(AugmentedImages(dataset, number, resolution, crop_scale, seed), size)
        order = [indices[i] for i in epoch_order(len(indices), seed, number)]
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        for images, targets in DataLoader(crops, batch_sampler=batches, num_workers=num_workers):
            with torch.inference_mode():
                tokens = encoder.patch_tokens(encoder.preprocess(images.to(device)))
            # A tensor made in inference mode cannot take part in a gradient.
            yield ProbeBatch(tokens.float().clone(), targets.long())

    return epoch


class _Crops(Dataset[tuple[Tensor, Tensor]]):
    """`(image uint8 [3, H, W], mask uint8 [*size])` of augmented images."""

    def __init__(self, images: AugmentedImages, size: Size) -> None:
        self.images, self.size = images, size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        mask = self.images.load_mask(index)
        if mask is None:
            raise ValueError(f"{self.images.name}: no mask for {self.images.names[index]}")
        return self.images.load_image(index), resize_labels(mask, self.size).to(torch.uint8)
