"""Images of three colours in folders, and networks that see little else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from leopart_kit.backbones import Encoder
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.data.loading import load_classification

COLOURS = {"blue": (20, 20, 220), "green": (20, 200, 20), "red": (220, 20, 20)}
SIDE = 16


def write_colours(root: Path, split: str, per_class: int, seed: int = 0, noise: int = 15) -> None:
    """Noisy images of one colour each, named by it; 20 x 16 pixels."""
    generator = np.random.default_rng((seed, per_class))
    for name, colour in COLOURS.items():
        folder = root / split / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            shift = generator.integers(-noise, noise + 1, (SIDE, SIDE + 4, 3))
            pixels = np.clip(np.array(colour) + shift, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02d}.png")


def colour_splits(root: Path) -> tuple[ClassificationDataset, ClassificationDataset]:
    """10 training and 4 test images of each colour."""
    write_colours(root, "train", 10)
    write_colours(root, "test", 4)
    train, test = (load_classification("image_folder_classes", root, s) for s in ("train", "test"))
    return train, test


class TwoLayers(Encoder):
    """Two convolutions with stride 4 and 2: layers `first` `[B, 5, h, w]` and `second`."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(name="two_layers", embed_dim=6, patch_size=8)
        torch.manual_seed(seed)
        self.first = nn.Conv2d(3, 5, 4, stride=4)
        self.second = nn.Conv2d(5, 6, 2, stride=2)
        self.calls = 0

    def layer_features(self, images: Tensor) -> dict[str, Tensor]:
        self.calls += len(images)
        first = self.first(images).relu()
        return {"first": first, "second": self.second(first)}

    def patch_tokens(self, images: Tensor) -> Tensor:
        return self.layer_features(images)["second"]
