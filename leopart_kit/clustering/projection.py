"""Standardising and principal components of rows that need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.clustering.moments import Moments
from leopart_kit.mapped_array import scratch_array
from leopart_kit.processes import ALONE, Processes


class Standardizer:
    """Shifts and scales every dimension to mean 0 and standard deviation 1.

    The deviation is that of the population (n in the denominator). A constant dimension is shifted
    only.

    Attributes (after `fit`):
        mean, std: float32 `[D]`.
    """

    mean: Tensor
    std: Tensor

    def fit(self, chunks: Tensor | Iterable[Tensor], processes: Processes = ALONE) -> Standardizer:
        """Fits on rows `[N, D]`, or on an iterable of such chunks, in one pass.

        Several processes give a share of the rows each, which may be none.

        Raises:
            ValueError: no row, a chunk of another width, or a value that is not finite.
        """
        moments = Moments(products=False)
        moments.update_all(chunks, processes)
        std = (moments.scatter / moments.count).sqrt()
        # Rounding leaves a constant dimension with a trace of spread instead of none.
        constant = std <= 1e-7 * moments.mean.abs()
        self.mean = moments.mean.float()
        self.std = torch.where(constant, 1.0, std).float()
        return self

    def transform(self, x: Tensor) -> Tensor:
        """`[..., D]` → float32 `[..., D]`, on the device of `x`."""
        return (x.float() - self.mean.to(x.device)) / self.std.to(x.device)

    def state_dict(self) -> dict[str, Tensor]:
        """The fitted tensors by name."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Standardizer:
        """The inverse of `state_dict`.

        Raises:
            ValueError: a tensor is missing (named).
        """
        standardizer = cls()
        standardizer.mean, standardizer.std = _read(state, "mean", "std")
        return standardizer


class PCA:
    """Principal components of centred rows, not whitened.

    Signs are fixed: the entry of largest magnitude of every component is positive.

    Args:
        num_components: d.

    Attributes (after `fit`):
        mean: float32 `[D]`.
        components: float32 `[d, D]`, orthonormal rows, largest variance first.
        explained_variance: float32 `[d]`, n - 1 in the denominator.
        explained_variance_ratio: float32 `[d]`, share of the total variance.

    Raises:
        ValueError: fewer than one component.
    """

    mean: Tensor
    components: Tensor
    explained_variance: Tensor
    explained_variance_ratio: Tensor

    def __init__(self, num_components: int) -> None:
        if num_components < 1:
            raise ValueError(f"num_components must be at least 1, got {num_components}")
        self.num_components = num_components

    def fit(self, chunks: Tensor | Iterable[Tensor], processes: Processes = ALONE) -> PCA:
        """Fits on rows `[N, D]`, or on an iterable of such chunks, in one pass.

        Several processes give a share of the rows each, which may be none.

        Raises:
            ValueError: fewer than two rows, more components than dimensions or rows, a chunk of
                another width, or a value that is not finite.
        """
        moments = Moments(products=True)
        moments.update_all(chunks, processes)
        limit = min(len(moments.mean), moments.count)
        if self.num_components > limit or moments.count < 2:
            raise ValueError(
                f"PCA to {self.num_components} needs at least as many dimensions and rows (and 2 "
                f"rows), got {moments.count} rows of {len(moments.mean)}"
            )
        # On the CPU for every device: the same figures everywhere, and D is small.
        covariance = moments.scatter.cpu() / (moments.count - 1)
        variances, vectors = processes.once(lambda: tuple(torch.linalg.eigh(covariance)))
        kept = vectors.flip(1)[:, : self.num_components].T
        peak = kept.gather(1, kept.abs().argmax(dim=1, keepdim=True))
        variances = variances.flip(0).clamp(min=0)
        explained = variances[: self.num_components]
        self.mean = moments.mean.float().cpu()
        self.components = (kept * peak.sign()).float().contiguous()
        self.explained_variance = explained.float()
        self.explained_variance_ratio = (explained / variances.sum().clamp(min=1e-300)).float()
        return self

    def transform(self, x: Tensor) -> Tensor:
        """`[..., D]` → float32 `[..., d]`, on the device of `x`."""
        return (x.float() - self.mean.to(x.device)) @ self.components.to(x.device).T

    def state_dict(self) -> dict[str, Tensor]:
        """The fitted tensors by name."""
        return {
            "mean": self.mean,
            "components": self.components,
            "explained_variance": self.explained_variance,
            "explained_variance_ratio": self.explained_variance_ratio,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> PCA:
        """The inverse of `state_dict`.

        Raises:
            ValueError: a tensor is missing (named).
        """
        names = "mean", "components", "explained_variance", "explained_variance_ratio"
        mean, components, variance, ratio = _read(state, *names)
        pca = cls(len(components))
        pca.mean, pca.components = mean, components
        pca.explained_variance, pca.explained_variance_ratio = variance, ratio
        return pca


def _read(state: Mapping[str, Any], *names: str) -> list[Tensor]:
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"state lacks {', '.join(missing)}: it was saved by something else")
    return [torch.as_tensor(state[name]) for name in names]


Tokens = Callable[[], Iterable[Tensor]]


@dataclass(frozen=True)
class TokenProjection:
    """Unit length, standardising and PCA, each where it was asked for, in this order."""

    l2_normalize: bool
    standardizer: Standardizer | None
    pca: PCA | None

    @classmethod
    def fit(
        cls,
        tokens: Tokens,
        *,
        l2_normalize: bool,
        standardize: bool,
        pca_dim: int | None,
        processes: Processes = ALONE,
    ) -> TokenProjection:
        """Fit on `tokens()`, chunks `[n, D]`, which are read once for each step.

        Several processes give a share of the tokens each: at least one chunk, perhaps of no row.

        `pca_dim` is the dimensions kept; `None`, or D and more, keeps the tokens' own.

        Raises:
            ValueError: no token, or a value that is not finite.
        """
        projection = cls(l2_normalize, None, None)
        if standardize:
            standardizer = Standardizer().fit(projection.apply(tokens()), processes)
            projection = cls(l2_normalize, standardizer, None)
        if pca_dim is not None and pca_dim < next(iter(tokens())).shape[-1]:
            pca = PCA(pca_dim).fit(projection.apply(tokens()), processes)
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
