"""Samples of a data set: in a list, or made one by one where there are millions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, overload

import numpy as np

from leopart_kit.identity.stored import AnyFile


class Sample(NamedTuple):
    """One image and the files its mask is made of (none: not annotated).

    Plain strings: COCO has 118,000 training images, and `Path` objects are several times larger.
    """

    name: str
    image_file: AnyFile
    mask_files: tuple[AnyFile, ...] = ()


class MadeSamples(Sequence[Sample]):
    """Samples that are made when they are asked for: a million take no memory, in no worker.

    Args:
        make: from a row to its sample; picklable. No two rows have one name.
        rows: those that count, int64 `[N]` or a range.
    """

    def __init__(self, make: Callable[[int], Sample], rows: range | np.ndarray) -> None:
        self.make, self._rows = make, rows

    @property
    def names(self) -> Names:
        """The names of all."""
        return Names(self)

    def at(self, places: Sequence[int] | np.ndarray) -> MadeSamples:
        """Some of them."""
        return MadeSamples(self.make, np.asarray(self._rows)[places])

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> MadeSamples: ...
    def __getitem__(self, index: int | slice) -> Sample | MadeSamples:
        if isinstance(index, slice):
            return MadeSamples(self.make, self._rows[index])
        return self.make(int(self._rows[index]))


class Names(Sequence[str]):
    """The names of samples, made as they are."""

    def __init__(self, samples: MadeSamples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Names: ...
    def __getitem__(self, index: int | slice) -> str | Names:
        if isinstance(index, slice):
            return Names(self._samples[index])
        return self._samples[index].name


def name_below(path: str) -> str:
    """A path that stays below any folder that it is put into, as a name must."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def without_suffix(path: str) -> str:
    """A path without the suffix of its last part."""
    folder, slash, file = path.rpartition("/")
    stem, dot, _ = file.rpartition(".")
    return f"{folder}{slash}{stem}" if stem and dot else path


def need_suffix(paths: Iterable[str]) -> np.ndarray:
    """Marks of the paths whose name needs the suffix to be told from others, bool `[N]`.

    A name is a path without suffix, unless another path is as well, or is just that. Only numbers
    are kept meanwhile, so that millions of paths may come one by one.
    """
    hashes = np.fromiter(
        (value for path in paths for value in (hash(path), hash(without_suffix(path)))), np.int64
    )
    whole, stems = hashes[::2], hashes[1::2]
    _, place, times = np.unique(stems, return_inverse=True, return_counts=True)
    return (times[place] > 1) | ((stems != whole) & np.isin(stems, whole))
