"""The image that each process reads at each step: a pure function of the seed and the step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Sampler

from leopart_kit.training.randomness import derive_seed


class SampleKey(NamedTuple):
    """An image of the data set as seen in one pass over it: the augmentation depends on both."""

    epoch: int
    index: int


class ResumableSampler(Sampler[list[SampleKey]]):
    """Endless stream of batches that can start anywhere.

    The stream is one random permutation of the data set after another, cut into global batches of
    `batch_size * world_size`; process `rank` takes the slice of its number. So the processes
    together read what a single process with the whole batch reads. No image is dropped: a batch at
    the end of an epoch is filled from the next one. Batch b of the stream is the same wherever the
    iteration started.

    Raises ValueError for an empty data set or a batch size below 1.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        first_batch: int = 0,
    ) -> None:
        if num_samples < 1:
            raise ValueError("the data set holds no images; check its folder and its split")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} is not one of the {world_size} processes")
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.first_batch = first_batch

    def __iter__(self) -> Iterator[list[SampleKey]]:
        epoch, order = -1, torch.empty(0, dtype=torch.int64)
        batch = self.first_batch
        while True:
            keys = []
            start = (batch * self.world_size + self.rank) * self.batch_size
            for position in range(start, start + self.batch_size):
                if position // self.num_samples != epoch:
                    epoch = position // self.num_samples
                    order = self._permutation(epoch)
                keys.append(SampleKey(epoch, int(order[position % self.num_samples])))
            yield keys
            batch += 1

    def _permutation(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch))
        return torch.randperm(self.num_samples, generator=generator)


def steps_for_epochs(epochs: float, num_samples: int, images_per_step: int) -> int:
    """Fewest optimiser steps that show `epochs * num_samples` images."""
    return math.ceil(epochs * num_samples / images_per_step)
