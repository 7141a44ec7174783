"""Preparation of patch tokens for clustering, kept so that it can be done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.clustering import PCA, Standardizer
from leopart_kit.mapped_array import scratch_array

Tokens = Callable[[], Iterable[Tensor]]


@dataclass(frozen=True)
class TokenProjection:
    """Unit length, standardising and PCA, each where it was asked for, in this order."""

    l2_normalize: bool
    standardizer: Standardizer | None
    pca: PCA | None

    @classmethod
    def fit(
        cls, tokens: Tokens, *, l2_normalize: bool, standardize: bool, pca_dim: int | None
    ) -> TokenProjection:
        """Fit on `tokens()`, chunks `[n, D]`, which are read once for each step.

        `pca_dim` is the dimensions kept; `None`, or D and more, keeps the tokens' own.

        Raises:
            ValueError: no token, or a value that is not finite.
        """
        projection = cls(l2_normalize, None, None)
        if standardize:
            standardizer = Standardizer().fit(projection.apply(tokens()))
            projection = cls(l2_normalize, standardizer, None)
        if pca_dim is not None and pca_dim < next(iter(tokens())).shape[-1]:
            pca = PCA(pca_dim).fit(projection.apply(tokens()))
            projection = cls(l2_normalize, projection.standardizer, pca)
        return projection

    def apply(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """`self` of every chunk."""
        return (self(chunk) for chunk in chunks)

    def on_disk(self, tokens: Tokens, num_tokens: int, folder: Path) -> Tensor:
        """`self` of all chunks together, float32 `[num_tokens, d]`, so that memory stays free.

        They are mapped from a passing file of `folder`.

        Raises:
            OSError: the disk has too little space; carries the name of the folder.
        """
        dim = self(next(iter(tokens()))[:1]).shape[-1]
        points = torch.from_numpy(scratch_array(folder, (num_tokens, dim), np.float32))
        row = 0
        for chunk in self.apply(tokens()):
            points[row : row + len(chunk)] = chunk
            row += len(chunk)
        return points

    def __call__(self, tokens: Tensor) -> Tensor:
        """`[..., D]` → float32 `[..., d]`."""
        points = tokens.float()
        if self.l2_normalize:
            points = F.normalize(points, dim=-1)
        if self.standardizer is not None:
            points = self.standardizer.transform(points)
        return points if self.pca is None else self.pca.transform(points)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything that was fitted, by name, as `from_arrays` takes it."""
        arrays = {"l2_normalize": np.array(self.l2_normalize)}
        for part, fitted in (("standardizer", self.standardizer), ("pca", self.pca)):
            state = {} if fitted is None else fitted.state_dict()
            arrays |= {f"{part}.{name}": value.cpu().numpy() for name, value in state.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TokenProjection:
        """The inverse of `to_arrays`.

        Raises:
            ValueError: an array is missing.
        """
        state = {
            part: {
                name.removeprefix(f"{part}."): value
                for name, value in arrays.items()
                if name.startswith(f"{part}.")
            }
            for part in ("standardizer", "pca")
        }
        return cls(
            bool(arrays["l2_normalize"]),
            Standardizer.from_state_dict(state["standardizer"]) if state["standardizer"] else None,
            PCA.from_state_dict(state["pca"]) if state["pca"] else None,
        )
