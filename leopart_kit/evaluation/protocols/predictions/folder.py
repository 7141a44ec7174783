"""Predictions that some other program wrote: one file of ids an image."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leopart_kit.data import BrokenSampleError, files_below, read_label_map
from leopart_kit.input_files import as_path, check_regular

logger = logging.getLogger(__name__)

SUFFIXES = (".png", ".npz", ".npy")


class PredictionFolder:
    """Files of ids `[h, w]` below a folder, named as the samples that they belong to.

    A PNG holds ids in one channel (palette, 8 or 16 bits), an `.npy` one array of integers, an
    `.npz` a single such array.

    Args:
        root: the folder; sub-folders are part of the names.
        name: what to call the method, the folder's name by default.

    Raises:
        FileNotFoundError: the folder does not exist or holds no such file.
        ValueError: two files differ only in their suffix.
    """

    def __init__(self, root: str | os.PathLike[str], name: str | None = None) -> None:
        self.root = as_path(root, "root").expanduser()
        self.name = name or self.root.resolve().name
        self.weights = str(self.root)
        self._files = _find(self.root)

    def __len__(self) -> int:
        return len(self._files)

    def match(self, names: Sequence[str]) -> dict[str, Path]:
        """The file of each sample that has one.

        It has the sample's whole name, or else the last part of it, where only one file and one
        sample end so.
        """
        found = {name: self._files[name] for name in names if name in self._files}
        endings: defaultdict[str, list[Path]] = defaultdict(list)
        for name, file in self._files.items():
            endings[_last_part(name)].append(file)
        times = Counter(_last_part(name) for name in names)
        for name in names:
            files = endings[_last_part(name)]
            if name not in found and len(files) == 1 and times[_last_part(name)] == 1:
                found[name] = files[0]
        left_over = len(self._files) - len(set(found.values()))
        if left_over:
            logger.warning("%d predictions in %s belong to no sample", left_over, self.root)
        return found

    def fingerprint(self) -> str:
        """sha256 over the names and contents of all files."""
        digest = hashlib.sha256()
        for name, file in self._files.items():
            digest.update(f"{name} {file.suffix} {_sha256(file)}\n".encode())
        return digest.hexdigest()


class PredictedMaps(Sequence[np.ndarray]):
    """The ids of each file int64 `[h, w]`, read when they are asked for; sizes may differ."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> np.ndarray:  # pyright: ignore
        return read_prediction(self._files[row])


def read_prediction(file: Path) -> np.ndarray:
    """The ids that a prediction stores, int64 `[h, w]`.

    Raises:
        BrokenSampleError: the file is missing, truncated, no regular file or not what its suffix
            says.
        ValueError: it holds something else than one map of integers; names the file.
    """
    if file.suffix.lower() == ".png":
        return read_label_map(file)
    ids = _read_array(file)
    if ids.ndim != 2 or ids.size == 0 or ids.dtype.kind not in "iub":
        raise ValueError(
            f"{file} holds {ids.dtype} {list(ids.shape)}; store ids as integers [H, W]"
        )
    return ids.astype(np.int64)


def _read_array(file: Path) -> np.ndarray:
    try:
        check_regular(file)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded as archive:
            if len(archive.files) == 1:
                return archive[archive.files[0]]
            held = ", ".join(archive.files) or "nothing"
    except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenSampleError(
            f"{file} cannot be read ({reason}); write it again or remove it"
        ) from error
    raise ValueError(f"{file} holds {held}; store one array of ids in each file")


def _sha256(file: Path) -> str:
    """Of the content; a file that cannot be read counts as such, so that its return is noticed."""
    try:
        check_regular(file)
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return "unreadable"


def _find(root: Path) -> dict[str, Path]:
    """Names without suffix to files, sorted; hidden files are left out."""
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; set predictions.root to one of ids")
    found: dict[str, Path] = {}
    files, repeated = files_below(root)
    for file in sorted(map(Path, files)):
        if file.suffix.lower() not in SUFFIXES:
            continue
        name = file.relative_to(root).with_suffix("").as_posix()
        if name in found:
            raise ValueError(f"{found[name]} and {file} predict the same image; keep one of them")
        found[name] = file
    for link in repeated:
        logger.warning("%s leads to a folder again, which is read once", link)
    if not found:
        raise FileNotFoundError(f"{root} holds no prediction ({', '.join(SUFFIXES)})")
    return found


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]
