"""The images of a training set in order, for methods that label them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from leopart_kit.data.training_images import Indexed
from leopart_kit.training.sampler import SampleKey
from leopart_kit.training.samples import CollateSamples, SeededSamples


class OrderedImages:
    """A `methods.ImagesInOrder`: every image once, seen through a transform without chance.

    A broken image is replaced by the next good one, as in training.

    dataset: images by index, uint8 `[3, H, W]`.
    transform: image → `[3, s, s]`, normalised.
    """

    def __init__(
        self,
        dataset: Indexed,
        transform: Callable[[Tensor], Tensor],
        *,
        batch_size: int = 256,
        num_workers: int = 0,
    ) -> None:
        self.samples = SeededSamples(dataset, transform, seed=0)
        self.batch_size = batch_size
        self.num_workers = num_workers

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, start: int, stop: int) -> Iterator[Tensor]:
        """Images `[b, 3, s, s]` number `start` to `stop - 1`.

        Raises ValueError for an image that cannot be used and not be replaced.
        """
        loader = DataLoader(
            self.samples,  # pyright: ignore[reportArgumentType] (items by SampleKey)
            batch_size=self.batch_size,
            sampler=[SampleKey(0, index) for index in range(start, stop)],  # pyright: ignore
            num_workers=self.num_workers,
            collate_fn=CollateSamples(),
            # Without its own generator the loader would draw from the global one of the run.
            generator=torch.Generator(),
        )
        for batch in loader:
            if batch.error is not None:
                raise ValueError(batch.error)
            yield batch.data
