"""Data and encoders so small that their evaluation can be worked out by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.data import SegmentationDataset, load_dataset

PATCH = 8
SIDE = 32  # pixels: 4 x 4 patches
COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [240, 240, 10]], np.uint8)
NAMES = ("background", "cat", "dog", "sheep")


def write_folder(
    root: Path, num_images: int, *, num_classes: int = 4, masks: bool = True
) -> SegmentationDataset:
    """Images whose top half is the colour of one class and whose bottom half that of another.

    Image i shows class `i mod C` above class `(i + 1) mod C`; pixels are noise-free PNGs.
    """
    for folder in ("images", "masks") if masks else ("images",):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(num_images):
        ids = np.empty((SIDE, SIDE), np.uint8)
        ids[: SIDE // 2], ids[SIDE // 2 :] = index % num_classes, (index + 1) % num_classes
        Image.fromarray(COLOURS[ids]).save(root / "images" / f"im{index:02d}.png")
        if masks:
            Image.fromarray(ids).save(root / "masks" / f"im{index:02d}.png")
    if masks:
        (root / "classes.txt").write_text("\n".join(NAMES[:num_classes]) + "\n")
    return load_dataset("folder", root, "all")


class MeanColour:
    """Mean colour of each patch, and how many images were asked for."""

    def __init__(self, fail_at_call: int | None = None) -> None:
        self.batches: list[int] = []
        self.fail_at_call = fail_at_call

    def __call__(self, images: Tensor) -> Tensor:
        if len(self.batches) == self.fail_at_call:
            raise KeyboardInterrupt
        self.batches.append(len(images))
        return F.avg_pool2d(images, PATCH)


def encoder_of(fn: Callable[[Tensor], Tensor], embed_dim: int = 3) -> Encoder:
    """An encoder around `fn` that sees colours from 0 to 1.

    Its identity is fixed: counters that a test keeps in `fn` are no settings of a network.
    """
    encoder = Encoder.from_module(
        fn, patch_size=PATCH, embed_dim=embed_dim, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    encoder.settings = dict[str, object](function=type(fn).__qualname__)
    return encoder


class ShiftedColour(torch.nn.Module):
    """Mean colour of each patch plus a weight."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.tensor(shift))

    def forward(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, PATCH) + self.shift


def digests(folder: Path, names: Sequence[str] = ("tokens.npy", "status.npy")) -> dict[str, str]:
    """sha256 of files of a feature store."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
