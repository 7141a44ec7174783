"""The numbers of in-context segmentation, and what the data must be like for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.clustering.nearest_faiss import import_faiss
from leopart_kit.evaluation.in_context_memory import check_memory_size
from leopart_kit.evaluation.settings import (
    check_choice,
    check_number,
    check_seeds,
    check_size,
    check_whole,
)


@dataclass(frozen=True)
class InContextSettings:
    """The protocol's numbers.

    Attributes:
        seeds: one memory each: the training images of `train_share`, the noise in the choice of
            patches. Where neither draws anything, all seeds share one memory.
        resolution: `(H, W)` to which images are resized, in pixels; whole patches.
        score_resolution: `(H, W)` at which the headline is scored; full size is scored too.
        memory_size: patches remembered, the same number of each training image; `None`: all.
        num_augmentations: 0 remembers the images as they are; n remembers n random crops of each
            instead (published with 2), which are encoded and stored like images.
        train_share: share of the training images, drawn by seed (published: 1/128, 1/64, 1/8).
        neighbours: entries whose labels a patch takes.
        temperature: of the softmax over their cosine similarities.
        index: `exact` looks at all entries; `faiss` is an approximate inverted file.

    Raises:
        ValueError: a value of the wrong kind or out of range; names the setting.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    resolution: tuple[int, int] = (448, 448)
    score_resolution: tuple[int, int] = (448, 448)
    memory_size: int | None = None
    num_augmentations: int = 0
    train_share: float = 1.0
    neighbours: int = 30
    temperature: float = 0.02
    index: Literal["exact", "faiss"] = "exact"

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        for name in ("resolution", "score_resolution"):
            check_size(name, getattr(self, name))
        if self.memory_size is not None:
            check_whole("memory_size", self.memory_size, minimum=1)
        check_whole("num_augmentations", self.num_augmentations, minimum=0)
        check_whole("neighbours", self.neighbours, minimum=1)
        check_number("train_share", self.train_share, 1e-9, 1)
        check_number("temperature", self.temperature, 1e-4, 100)
        check_choice("index", self.index, ("exact", "faiss"))

    def draw(self, seed: int) -> int:
        """The seed, or 0 where it makes no difference: such seeds share what was computed."""
        return seed if self.memory_size is not None or self.train_share < 1 else 0

    def training_images(self, usable: Sequence[int], seed: int) -> list[int]:
        """The share of the training images, ascending."""
        number = round(self.train_share * len(usable))
        order = np.random.default_rng(seed).permutation(len(usable))[:number]
        return [usable[place] for place in np.sort(order)]

    def check_data(self, num_train: int, patch_size: int) -> None:
        """Raise `ValueError` for what these training images cannot give; before any extraction."""
        if self.index == "faiss":
            import_faiss()
        if any(side % patch_size for side in self.resolution):
            raise ValueError(
                f"resolution {list(self.resolution)} must be whole patches of {patch_size} px, "
                "since patches take their labels from the masks"
            )
        if self.train_share * num_train < 1:
            raise ValueError(
                f"train_share {self.train_share:g} of {num_train} training images is less than one "
                "image: raise it"
            )
        rows, columns = grid_size(*self.resolution, patch_size)
        images = round(self.train_share * num_train) * max(self.num_augmentations, 1)
        self.check_neighbours(check_memory_size(self.memory_size, images, rows * columns))

    def check_neighbours(self, entries: int) -> None:
        """Raise `ValueError` for more neighbours than entries."""
        if self.neighbours > entries:
            raise ValueError(
                f"{self.neighbours} neighbours are more than the {entries} entries of the memory: "
                "lower neighbours or raise memory_size"
            )
