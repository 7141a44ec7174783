"""Arrays worked out once from a large file, kept beside it, and mapped into memory since.

All processes and workers read the same pages: a list of a million paths is in memory once.
"""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)

_VERSION = "1"  # of what the arrays mean


class KeptIndex(Mapping[str, np.ndarray]):
    """Arrays by name, mapped from a file; a worker that is sent them maps them itself."""

    def __init__(self, file: Path, made_of: Mapping[str, str]) -> None:
        """Map an index of what `made_of` says; `ValueError` if it is of something else, or none."""
        self.file, self.made_of = file, made_of
        try:
            opened: Any = safetensors.safe_open(str(file), framework="pt")
        except (OSError, safetensors.SafetensorError) as error:
            raise ValueError(f"{file} is no index: {error}") from error
        if opened.metadata() != made_of:
            raise ValueError(f"{file} does not fit the file that it speaks of, which was changed")
        self._arrays = {name: opened.get_tensor(name).numpy() for name in list(opened.keys())}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __reduce__(self) -> tuple[type[KeptIndex], tuple[Path, Mapping[str, str]]]:
        return KeptIndex, (self.file, self.made_of)


def kept_index(
    source: Path, make: Callable[[], Mapping[str, np.ndarray]], settings: str = ""
) -> KeptIndex:
    """The arrays of `make`, made again when the size or the time of `source` is another.

    They lie beside it as `.NAME.index`, or in the user's cache where its folder takes no files.

    Args:
        source: the file that they speak of.
        make: works them out of it.
        settings: all else that they depend on.

    Raises:
        OSError: neither place can be written; carries the name of one.
    """
    state = source.stat()
    made_of = {
        "version": _VERSION,
        "size": str(state.st_size),
        "modified": str(state.st_mtime_ns),
        "settings": settings,
    }
    places = (source.with_name(f".{source.name}.index"), _in_cache(source))
    for place in places:
        with suppress(ValueError):
            return KeptIndex(place, made_of)
    logger.info("making the index of %s, once", source)
    arrays = {name: torch.from_numpy(array) for name, array in make().items()}
    try:
        return _write(places[0], arrays, made_of)
    except OSError:
        places[1].parent.mkdir(parents=True, exist_ok=True)
        return _write(places[1], arrays, made_of)


def _in_cache(source: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    name = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:32]
    return base / "leopart_kit" / f"{name}.index"


def _write(place: Path, arrays: dict[str, Tensor], made_of: dict[str, str]) -> KeptIndex:
    with whole_file(place) as temporary:
        save_file(arrays, temporary, made_of)
    return KeptIndex(place, made_of)


def text_at(index: KeptIndex, row: int, name: str = "texts") -> str:
    """Text `row` of an index that holds texts one behind the other, and where each ends."""
    ends = index[f"{name}_ends"]
    start = int(ends[row - 1]) if row else 0
    return index[name][start : int(ends[row])].tobytes().decode()


def texts_of(index: KeptIndex, name: str = "texts") -> list[str]:
    """All texts of an index."""
    return [text_at(index, row, name) for row in range(len(index[f"{name}_ends"]))]


def packed_texts(name: str, texts: Iterable[bytes]) -> dict[str, np.ndarray]:
    """Texts in UTF-8 as `text_at` reads them."""
    content, ends = bytearray(), array("q")
    for text in texts:
        content += text
        ends.append(len(content))
    return {name: np.frombuffer(content, np.uint8), f"{name}_ends": np.frombuffer(ends, np.int64)}
