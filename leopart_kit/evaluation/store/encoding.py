"""From images on disk to tokens on the host, with decoding, device and writing at work at once.

Workers decode the next batches. On a GPU one batch is computed, and comes back to pinned memory,
while the one before is handed over and written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from leopart_kit.backbones import Encoder
from leopart_kit.data import BrokenSampleError, SegmentationDataset
from leopart_kit.evaluation.scores.resizing import resize_image


class ImageBatch(NamedTuple):
    """Resized images uint8 `[n, 3, H, W]` with their indices, and the reasons of broken ones."""

    indices: list[int]
    images: Tensor
    failed: dict[str, str]


class _Item(NamedTuple):
    index: int
    image: Tensor | None
    reason: str


class ResizedImages(Dataset[_Item]):
    """The images of a data set at one size; a broken file is reported, not raised."""

    def __init__(self, dataset: SegmentationDataset, resolution: tuple[int, int]):
        self.dataset = dataset
        self.resolution = resolution

    def __getitem__(self, index: int) -> _Item:
        try:
            image = self.dataset.load_reduced(index, self.resolution)
        except BrokenSampleError as error:
            return _Item(index, None, str(error))
        return _Item(index, resize_image(image, self.resolution), "")

    def loader(
        self, batches: Sequence[list[int]], num_workers: int, device: torch.device
    ) -> DataLoader[ImageBatch]:
        """These batches, in pinned memory where a GPU will take them."""
        return DataLoader(  # pyright: ignore[reportReturnType] (items become batches)
            self,
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=_together,
            pin_memory=device.type == "cuda",
        )


def _together(items: list[_Item]) -> ImageBatch:
    good = [(item.index, item.image) for item in items if item.image is not None]
    images = torch.stack([image for _, image in good]) if good else torch.empty(0)
    failed = {str(item.index): item.reason for item in items if item.image is None}
    return ImageBatch([index for index, _ in good], images, failed)


@torch.inference_mode()
def encoded(
    encoder: Encoder, batches: Iterable[ImageBatch], device: torch.device
) -> Iterator[tuple[ImageBatch, np.ndarray]]:
    """Every batch with its tokens, fp16 `[n, h·w, D]`; beside a CPU one later, in the same order.

    Raises:
        ValueError: tokens that are not finite in fp16.
    """
    ahead = 0 if device.type == "cpu" else 1
    under_way: deque[_OnItsWay] = deque()
    for batch in batches:
        under_way.append(_OnItsWay(encoder, batch, device))
        if len(under_way) > ahead:
            yield under_way.popleft().arrived()
    while under_way:
        yield under_way.popleft().arrived()


class _OnItsWay:
    """A batch whose tokens the device computes and sends back, without the host waiting for it."""

    def __init__(self, encoder: Encoder, batch: ImageBatch, device: torch.device) -> None:
        self.encoder, self.batch = encoder, batch
        self.tokens, self.extremes = torch.empty(0, 0, 0), torch.zeros(2)
        self.sent: torch.cuda.Event | None = None
        if not batch.indices:
            return
        images = batch.images.to(device, non_blocking=True)
        features = encoder.patch_tokens(encoder.preprocess(images))
        self.tokens = _to_host(features.flatten(2).transpose(1, 2).to(torch.float16))
        self.extremes = _to_host(torch.stack(features.aminmax()))
        if device.type == "cuda":
            self.sent = torch.cuda.Event()
            self.sent.record()

    def arrived(self) -> tuple[ImageBatch, np.ndarray]:
        if self.sent is not None:
            self.sent.synchronize()
        if not torch.isfinite(self.extremes.to(torch.float16)).all():
            raise ValueError(
                f"the tokens of {self.encoder.name} are not finite in fp16 (largest magnitude "
                f"{self.extremes.abs().max():.3g}); check the weights, or choose another block or "
                "facet"
            )
        return self.batch, self.tokens.numpy()


def _to_host(values: Tensor) -> Tensor:
    if values.device.type != "cuda":
        return values.cpu()
    pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return pinned.copy_(values, non_blocking=True)
