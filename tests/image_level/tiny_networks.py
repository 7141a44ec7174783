"""Small networks of both kinds, and a set of images with an order, for the image-level methods."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from leopart_kit.backbones.residual_network import ResidualNetwork
from leopart_kit.backbones.resnet import ResNetEncoder
from tests.methods.tiny_clusterer import patchy_images


def tiny_resnet() -> ResNetEncoder:
    """A ResNet-18 of 2 to 16 channels with tokens of 16 px; the same weights at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ResidualNetwork(18, width=2, stem="small")
    return ResNetEncoder(network, name="tiny_resnet", embed_dim=16, patch_size=16).eval()


def normalised_images(num: int, seed: int = 0, size: int = 32) -> Tensor:
    """Float `[num, 3, size, size]` around 0."""
    images = patchy_images(num, seed, size=size + 16)[..., :size, :size]
    return images.float() / 128 - 1


class TinySet:
    """A `methods.ImagesInOrder`."""

    def __init__(self, images: Tensor, batch_size: int = 4) -> None:
        self.images = images
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, start: int, stop: int) -> Iterator[Tensor]:
        yield from self.images[start:stop].split(self.batch_size)
