"""Several feature stores read as one: a protocol may cluster a train and a val split together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from leopart_kit.evaluation.store.features import FeatureStore


class PatchTokens(Protocol):
    """Patch tokens of N images on disk; `FeatureStore` says what the members mean."""

    @property
    def folder(self) -> Path: ...

    @property
    def grid(self) -> tuple[int, int]: ...

    @property
    def embed_dim(self) -> int: ...

    def __len__(self) -> int: ...

    def chunks(self, images_per_chunk: int = 32, start: int = 0) -> Iterator[Tensor]: ...


class JoinedStores:
    """The images of several stores of one encoder, one after the other.

    Raises:
        ValueError: stores of different grids or dimensions.
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self.stores = list(stores)
        first = stores[0]
        for store in stores:
            if (store.grid, store.embed_dim) != (first.grid, first.embed_dim):
                raise ValueError(f"{store.folder} and {first.folder} hold tokens of different size")
        self.folder, self.grid, self.embed_dim = first.folder, first.grid, first.embed_dim

    def __len__(self) -> int:
        return sum(len(store) for store in self.stores)

    def chunks(self, images_per_chunk: int = 32, start: int = 0) -> Iterator[Tensor]:
        """Tokens in order from an image on, float32 `[n·h·w, D]`, a few images at a time."""
        for store in self.stores:
            yield from store.chunks(images_per_chunk, max(start, 0))
            start -= len(store)
