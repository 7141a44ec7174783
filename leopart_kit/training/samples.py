"""Items of a data set, augmented from a seed of their own and replaced where a file is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch.utils.data import Dataset, default_collate

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.training_images import Indexed
from leopart_kit.training.randomness import derive_seed, reproducible_cpu
from leopart_kit.training.sampler import SampleKey


@runtime_checkable
class HasPaths(Protocol):
    """A data set that knows the file of an item, to name it in errors."""

    def image_path(self, index: int, /) -> Path: ...


class SeededItem(NamedTuple):
    """A transformed item and the complaints about the broken ones it stands in for.

    `error` replaces the data where a sample cannot be used at all. It travels as text, so that
    the main process raises one line instead of the traceback of a worker.
    """

    data: Any
    broken: tuple[str, ...]
    error: str | None


class LoadedBatch(NamedTuple):
    """A collated batch, and what the broken files met on the way said (each names its file)."""

    data: Any
    broken: tuple[str, ...]
    error: str | None


class SeededSamples(Dataset[SeededItem]):
    """`transform(dataset[index])` with the random generators seeded by (seed, epoch, index).

    The result depends on nothing else: not on the worker, their number, or where the run was
    resumed. A broken item is replaced by the next good one, with the seed of its own place.

    dataset: items by index; raises `BrokenSampleError` for one that cannot be read.
    transform: takes an item, draws from the global generators of torch, NumPy or Python.

    Raises ValueError for an empty data set.
    """

    def __init__(self, dataset: Indexed, transform: Callable[[Any], Any], seed: int) -> None:
        if len(dataset) == 0:
            raise ValueError("the data set holds no images; check its folder and its split")
        self.dataset = dataset
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: SampleKey) -> SeededItem:
        try:
            index, item, broken = self._next_good(key.index)
        except ValueError as error:
            return SeededItem(data=None, broken=(), error=str(error))
        try:
            with reproducible_cpu(derive_seed(self.seed, key.epoch, key.index)):
                return SeededItem(self.transform(item), tuple(broken), error=None)
        except ValueError as error:
            return SeededItem(data=None, broken=(), error=f"{self._name(index)}: {error}")

    def _next_good(self, index: int) -> tuple[int, Any, list[str]]:
        broken: list[str] = []
        for offset in range(len(self)):
            candidate = (index + offset) % len(self)
            try:
                return candidate, self.dataset[candidate], broken
            except BrokenSampleError as error:
                broken.append(str(error))
        raise ValueError(f"none of the {len(self)} images can be read; the first: {broken[0]}")

    def _name(self, index: int) -> str:
        if isinstance(self.dataset, HasPaths):
            return str(self.dataset.image_path(index))
        return f"item {index}"


class CollateSamples:
    """Collate the data of seeded items with `collate`; gather their complaints."""

    def __init__(self, collate: Callable[[list[Any]], Any] = default_collate) -> None:
        self.collate = collate

    def __call__(self, items: Sequence[SeededItem]) -> LoadedBatch:
        errors = [item.error for item in items if item.error is not None]
        if errors:
            return LoadedBatch(data=None, broken=(), error=errors[0])
        broken = dict.fromkeys(message for item in items for message in item.broken)
        data = self.collate([item.data for item in items])
        return LoadedBatch(data, tuple(broken), error=None)
