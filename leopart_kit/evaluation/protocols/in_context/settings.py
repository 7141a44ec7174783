"""Settings of in-context segmentation, and checks that the data fit them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.clustering.nearest_faiss import import_faiss
from leopart_kit.evaluation.protocols.in_context.memory import check_memory_size
from leopart_kit.settings import Count, Positive, Seeds, Share, Size, Text, Whole, settings


@settings
class InContextSettings:
    """Memory and search of in-context segmentation.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    train_split: Text | None = "train"
    """Split of the data set whose images are remembered."""
    seeds: Seeds = (0, 1, 2)
    """One memory each; they differ where memory_size or train_share draw."""
    resolution: Size = (448, 448)
    """`[H, W]` to which images are resized, in pixels; whole patches."""
    score_resolution: Size = (448, 448)
    """`[H, W]` at which the headline is scored; full size is scored too."""
    memory_size: Count | None = None
    """Patches remembered, the same number of each training image; null: all."""
    num_augmentations: Whole = 0
    """Random crops of each training image that are remembered instead of it; published with 2."""
    train_share: Share = 1.0
    """Share of the training images, drawn by seed; published: 1/128, 1/64, 1/8."""
    neighbours: Count = 30
    """Entries whose labels a patch takes."""
    temperature: Positive = 0.02
    """Of the softmax over their cosine similarities."""
    index: Literal["exact", "faiss"] = "exact"
    """Search: exact looks at all entries; faiss is an approximate inverted file."""

    def draw(self, seed: int) -> int:
        """The seed, or 0 where it makes no difference: such seeds share what is computed."""
        return seed if self.memory_size is not None or self.train_share < 1 else 0

    def draws(self) -> tuple[int, ...]:
        """Draws of the seeds, each once."""
        return tuple(dict.fromkeys(map(self.draw, self.seeds)))

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
