"""Files of a feature store: tokens with a checksum of every image, and stages made from them."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.identity import Identity
from leopart_kit.input_files import read_json
from leopart_kit.mapped_array import RowWriter, mapped_array
from leopart_kit.npz_file import read_npz
from leopart_kit.processes import ALONE, Processes
from leopart_kit.whole_file import whole_file, write_whole_text

logger = logging.getLogger(__name__)

PENDING, DONE, BROKEN = 0, 1, 2
TOKENS, STATUS, CHECKSUMS, SEAL = "tokens.npy", "status.npy", "checksums.npy", "seal.json"

Shape = tuple[int, int, int]


def make_files(folder: Path, shape: Shape) -> None:
    """New files at their final size; raises OSError where the disk has too little space."""
    mapped_array(folder / TOKENS, shape, np.float16)
    mapped_array(folder / STATUS, shape[:1], np.uint8)  # zeros: pending
    mapped_array(folder / CHECKSUMS, shape[:1], np.uint32)


def checksum(tokens: np.ndarray) -> int:
    """CRC-32 of the tokens of one image."""
    return zlib.crc32(np.ascontiguousarray(tokens).data)


def seal(folder: Path) -> None:
    """Note how the tokens' file stands, once all is written: whatever changes it is noticed."""
    write_whole_text(folder / SEAL, json.dumps(_state(folder / TOKENS)) + "\n")


def damage(folder: Path, shape: Shape) -> str | None:
    """In words, the first file that is not as a store of this shape has it; None if all are."""
    wanted = {TOKENS: (shape, np.float16), STATUS: (shape[:1], np.uint8)}
    wanted[CHECKSUMS] = (shape[:1], np.uint32)
    for name, (size, dtype) in wanted.items():
        file = folder / name
        try:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # NumPy reads a damaged head as many other things
            return f"{file} cannot be read ({' '.join(str(error).split())})"
        if array.shape != size or array.dtype != dtype or not array.flags.c_contiguous:
            return (
                f"{file} holds {array.dtype} {list(array.shape)}, not {dtype.__name__} {list(size)}"
            )
        if name == STATUS and (array > BROKEN).any():
            return f"{file} holds a status that there is none of"
    for file in sorted(folder.glob("broken*.json")):
        problem = _odd_reasons(file, shape[0])
        if problem:
            return problem
    return None


def forget_changed(folder: Path) -> int:
    """Make images pending whose tokens are not those that were written; returns their number.

    Where the file is untouched since it was sealed this reads nothing of it.
    """
    if _sealed(folder):
        return 0
    tokens = np.load(folder / TOKENS, mmap_mode="r")
    status = np.load(folder / STATUS, mmap_mode="r+")
    sums = np.load(folder / CHECKSUMS, mmap_mode="r")
    changed = [row for row in np.flatnonzero(status == DONE) if checksum(tokens[row]) != sums[row]]
    status[changed] = PENDING
    status.flush()
    seal(folder)
    return len(changed)


@contextmanager
def shared_array(
    path: Path, shape: Sequence[int], dtype: Any, processes: Processes
) -> Iterator[Path]:
    """A new array on disk whose rows all processes write: the file to write, `path` in the end.

    What is done inside ends in all processes alike, see `Processes.together`.

    Raises:
        OSError: the disk has too little space; in every process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) if processes.first else nullcontext(path) as own:

        def make() -> Path:
            mapped_array(own, tuple(shape), dtype)
            return own

        yield processes.once(make)


class StoreWriter:
    """Writes tokens and statuses of images; processes, also of several nodes, have one each."""

    def __init__(self, folder: Path) -> None:
        self._tokens, self._sums, self._status = (
            RowWriter(folder / name) for name in (TOKENS, CHECKSUMS, STATUS)
        )

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in (self._tokens, self._sums, self._status):
            writer.close()

    def write(self, rows: Iterable[int], values: np.ndarray) -> None:
        """Tokens `[n, h·w, D]` of some images with their checksums, and then that they are done."""
        for row, value in zip(rows, values, strict=True):
            self._tokens.write(row, value[None])
            self._sums.write(row, np.array([checksum(value)]))
            self._status.write(row, np.array([DONE]))

    def mark_broken(self, rows: Iterable[int]) -> None:
        """These images cannot be read."""
        for row in rows:
            self._status.write(row, np.array([BROKEN]))


def _sealed(folder: Path) -> bool:
    try:
        return read_json(folder / SEAL) == _state(folder / TOKENS)
    except (OSError, ValueError):
        return False


def _state(file: Path) -> list[int]:
    """Size, node, and times of change; no program can set the last one back."""
    at = file.stat()
    return [at.st_size, at.st_ino, at.st_mtime_ns, at.st_ctime_ns]


def _odd_reasons(file: Path, num_images: int) -> str | None:
    try:
        reasons = read_json(file)
    except ValueError as error:
        return str(error)
    fine = isinstance(reasons, dict) and all(
        key.isdigit() and int(key) < num_images and isinstance(reason, str)
        for key, reason in reasons.items()
    )
    return None if fine else f"{file} does not give a reason for each of some images"


class StageCache:
    """Keeps the arrays of a stage under all that determines them.

    Args:
        folder: receives one file a stage and setting; deleting it costs time only.
        key: what holds for every stage, such as the stores that are read.
        processes: those that share the measurement; the first one computes.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], processes: Processes = ALONE) -> None:
        self.folder = folder
        self.processes = processes
        self.key = dict(key)

    def get(
        self, stage: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The arrays of a stage: from disk if it was computed before, else from `compute`.

        Args:
            key: what determines the result beside the cache's own key; plain JSON values.
        """
        path = self.path(stage, key)
        return self.processes.once(lambda: self._load_or_make(path, stage, compute))

    def get_together(
        self, stage: str, key: Mapping[str, Any], compute: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """As `get`, for a `compute` that all processes are in at once, and that they share."""
        path = self.path(stage, key)
        found = self.processes.once(lambda: self._load(path, stage))
        if found is None:
            found = dict(self.processes.together(compute))
            if self.processes.first:
                self._save(path, found)
            self.processes.wait()
        return found

    def path(self, stage: str, key: Mapping[str, Any]) -> Path:
        """Folder in which `get` keeps the arrays of a stage."""
        identity = Identity.of(**{**self.key, "stage": stage, **key})
        return self.folder / f"{stage}-{identity.key}.npz"

    def _load_or_make(
        self, path: Path, stage: str, compute: Callable[[], Mapping[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        found = self._load(path, stage)
        if found is None:
            found = dict(compute())
            self._save(path, found)
        return found

    def _load(self, path: Path, stage: str) -> dict[str, np.ndarray] | None:
        if not path.exists():
            return None
        try:
            arrays = read_npz(path)
        except ValueError as error:
            logger.warning("%s: %s; it is made anew", stage, error)
            return None
        logger.info("%s: reused %s", stage, path)
        return arrays

    def _save(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
