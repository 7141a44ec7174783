"""Images of a data set as methods are trained on them: alone, or each with a value of its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from leopart_kit.data.image_files import LeastImage


class ImageSource(Protocol):
    """A data set that can load an image without its mask, and knows its file."""

    def __len__(self) -> int: ...

    def load_image(self, index: int, /) -> Tensor: ...

    def load_at_least(self, index: int, least: LeastImage, /) -> Tensor: ...

    def image_path(self, index: int, /) -> Path: ...


class Indexed(Protocol):
    """A data set with a length; `BrokenSampleError` from an item means: skip this one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Images:
    """Images of a source, decoded at full size unless less is enough."""

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self._least = LeastImage()

    def of_at_least(self, least: LeastImage) -> Self:
        """The same of which no more than the `least` image is needed, see `read_at_least`."""
        less = copy.copy(self)
        less._least = least
        return less

    def load(self, row: int) -> Tensor:
        """uint8 `[3, H, W]`; raises `BrokenSampleError`."""
        return self.source.load_at_least(row, self._least)


class ImagesOf(Images, Dataset[Tensor]):
    """The images of a labelled data set, their masks left unread."""

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Tensor:
        return self.load(index)

    def image_path(self, index: int) -> Path:
        """File of one image."""
        return self.source.image_path(index)


class ImagesWithTokens(Images, Dataset[tuple[Tensor, Tensor]]):
    """The images of a data set with stored patch tokens of each.

    source: the images.
    tokens: `[N, h·w, D]` of all images of the source, usually mapped from a file.
    indices: the images to use, those whose tokens are there.
    grid: `(h, w)`.
    """

    def __init__(
        self,
        source: ImageSource,
        tokens: np.ndarray,
        indices: Sequence[int],
        grid: tuple[int, int],
    ) -> None:
        super().__init__(source)
        self.tokens = tokens
        self.indices = list(indices)
        self.grid = grid

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = self.indices[index]
        tokens = torch.from_numpy(np.array(self.tokens[row]))
        return self.load(row), tokens.unflatten(0, self.grid)

    def image_path(self, index: int) -> Path:
        """File of one image."""
        return self.source.image_path(self.indices[index])


class ImagesWith(Images, Dataset[tuple[Tensor, Any]]):
    """Images of a data set, each with a value of its own: a number, a caption.

    source: the images.
    values: one for each item.
    indices: the image of each item; all images in order if None.
    """

    def __init__(
        self, source: ImageSource, values: Sequence[Any], indices: Sequence[int] | None = None
    ) -> None:
        super().__init__(source)
        self.values = values
        self.indices = range(len(source)) if indices is None else indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return self.load(self.indices[index]), self.values[index]

    def image_path(self, index: int) -> Path:
        """File of one image."""
        return self.source.image_path(self.indices[index])
