"""Settings of in-context segmentation, and checks that the data fit them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.clustering.nearest_faiss import import_faiss
from leopart_kit.data import ClassHistogram, SegmentationDataset
from leopart_kit.evaluation.protocols.in_context.memory import check_memory_size
from leopart_kit.evaluation.protocols.training_split.shares import (
    classes_left_out,
    drawn_images,
    listed_images,
)
from leopart_kit.settings import (
    Count,
    PathText,
    Seeds,
    Share,
    Size,
    Temperature,
    Text,
    Whole,
    settings,
    several,
)


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
    """`[H, W]` to which images are resized, in pixels."""
    score_resolution: Size = (448, 448)
    """`[H, W]` at which the headline is scored; full size is scored too."""
    memory_size: Count | None = None
    """Patches remembered, the same number of each training image; null: all."""
    num_augmentations: Whole = 0
    """Random crops of each training image that are remembered instead of it; published with 2."""
    train_share: Share = 1.0
    """Share of the training images, drawn by seed; published: 1/128, 1/64, 1/8."""
    train_lists: several(PathText) | None = None  # type: ignore[valid-type]
    """Files that name the training images, one a seed, instead of a share that is drawn."""
    classes_left_out: Literal["stop", "allow"] = "stop"
    """For a share without an image of a class that the split shows: stop names it; allow goes on,
    and the class scores 0."""
    neighbours: Count = 30
    """Entries whose labels a patch takes."""
    temperature: Temperature = 0.02
    """Of the softmax over their cosine similarities."""
    index: Literal["exact", "faiss"] = "exact"
    """Search: exact looks at all entries; faiss is an approximate inverted file."""

    def __post_init__(self) -> None:
        if self.train_lists is None:
            return
        if self.train_share < 1:
            raise ValueError(
                "train_share draws images and train_lists name them: set one of the two"
            )
        if len(self.train_lists) != len(self.seeds):
            raise ValueError(
                f"train_lists are {len(self.train_lists)} files for {len(self.seeds)} seeds: give "
                "one a seed"
            )

    def draw(self, seed: int) -> int:
        """The seed, or 0 where it makes no difference: such seeds share what is computed."""
        drawn = self.memory_size is not None or self.train_share < 1
        return seed if drawn or self.train_lists is not None else 0

    def draws(self) -> tuple[int, ...]:
        """Draws of the seeds, each once."""
        return tuple(dict.fromkeys(map(self.draw, self.seeds)))

    def list_of(self, seed: int) -> Path | None:
        """The file that names the training images of a seed, where there is one."""
        if self.train_lists is None:
            return None
        return Path(self.train_lists[self.seeds.index(seed)]).expanduser()

    def chosen_by(self, seed: int) -> str:
        """Source of the training images of a seed, for the result."""
        file = self.list_of(seed)
        if file is not None:
            return f"list {file}"
        return "own draw by the seed" if self.train_share < 1 else "all images of the split"

    def training_images(
        self, train: SegmentationDataset, labels: ClassHistogram, seed: int
    ) -> list[int]:
        """The training images of a seed, ascending.

        Raises:
            FileNotFoundError: there is no such list.
            ValueError: as `listed_images`, or they leave out a class, see `classes_left_out`.
        """
        file = self.list_of(seed)
        if file is None:
            chosen = drawn_images(labels.usable, self.train_share, seed)
        else:
            chosen = listed_images(train, labels.usable, file)
        missing = classes_left_out(labels, chosen)
        if missing and self.classes_left_out == "stop":
            which = (
                f"protocol.train_share {self.train_share:g}, seed {seed}"
                if file is None
                else str(file)
            )
            raise ValueError(
                f"{which}: {len(chosen)} of {len(labels.usable)} training images show no "
                f"{', '.join(missing[:5])}{', …' * (len(missing) > 5)}; take other seeds, more "
                "images or protocol.classes_left_out=allow"
            )
        return chosen

    def check_data(self, num_train: int, patch_size: int) -> None:
        """Raise `ValueError` for what these training images cannot give; before any extraction.

        Args:
            num_train: images of the draw that has fewest.
        """
        if self.index == "faiss":
            import_faiss()
        rows, columns = grid_size(*self.resolution, patch_size)
        patches = num_train * max(self.num_augmentations, 1) * rows * columns
        self.check_neighbours(check_memory_size(self.memory_size, patches), patches)

    def check_neighbours(self, entries: int, patches: int) -> None:
        """Raise `ValueError` for more neighbours than entries; `patches` are all that there are."""
        if self.neighbours > entries:
            larger = self.memory_size is not None and self.memory_size < patches
            raise ValueError(
                f"{self.neighbours} neighbours are more than the {entries} entries of the memory: "
                "lower protocol.neighbours or "
                f"{'raise protocol.memory_size' if larger else 'use more training images'}"
            )
