"""Files that hold many images each, by folder, pattern or list: tars, parquet and arrow files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from leopart_kit.data.walking import files_below
from leopart_kit.input_files import AnyPath, as_path, check_regular

WHOLE = "all"
_SHOWN = 10
_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def find_containers(
    root: Path, split: str, suffixes: tuple[str, ...], chosen: Sequence[AnyPath] | None = None
) -> list[Path]:
    """The files that are meant, in order, each once.

    Args:
        root: a file; a pattern such as `train-{000..146}.tar`; or a folder, of which all files with
            one of `suffixes` are meant, in any sub-folder.
        split: `all`; else, below a folder, what lies in the folder of this name or, without one,
            in files whose name begins with it.
        chosen: files or patterns below the folder, instead of all.

    Raises:
        FileNotFoundError: a file, one of a pattern's, or all of a folder are missing.
        ValueError: a file is listed twice, or there is no such split.
    """
    if chosen is not None:
        if split != WHOLE:
            raise ValueError(f"split={split} and shards: leave one of them out")
        files = [file for part in chosen for file in _expanded(root / as_path(part, "shards"))]
    elif root.is_dir():
        files = _below(root, split, suffixes)
    else:
        files = _expanded(root)
        check_regular(files[0])
        if split != WHOLE:
            raise ValueError(f"{root} is no folder and has no split {split!r}; leave split out")
    twice = next((file for i, file in enumerate(files) if file in set(files[:i])), None)
    if twice is not None:
        raise ValueError(f"{twice} is listed twice; list it once")
    for file in files:
        check_regular(file)
    return files


def _expanded(path: Path) -> list[Path]:
    """The files of a pattern in braces; a path without any is itself."""
    if "{" not in str(path) or path.exists():
        return [path]
    files = [Path(text) for text in _braces(str(path))]
    missing = [file for file in files if not file.exists()]
    if missing:
        raise FileNotFoundError(
            f"{missing[0]} does not exist ({len(missing):,} of the {len(files):,} files of {path} "
            "are missing); add them, or shorten the pattern"
        )
    return files


def _braces(pattern: str) -> list[str]:
    try:
        from braceexpand import braceexpand
    except ImportError:
        raise ValueError(
            f"{pattern}: patterns need braceexpand: pip install 'leopart-kit[shards]'; or set root "
            "to the folder"
        ) from None
    try:
        return list(braceexpand(pattern))
    except ValueError as error:
        raise ValueError(f"{pattern} is no pattern ({error}); close every brace") from error


def _below(root: Path, split: str, suffixes: tuple[str, ...]) -> list[Path]:
    folder = root / split if split != WHOLE and (root / split).is_dir() else root
    all_files = files_below(folder).files
    files = [Path(f) for f in all_files if f.lower().endswith(suffixes)]
    packed = [f for f in all_files if f.lower().endswith(_PACKED)] if ".tar" in suffixes else []
    if packed:
        raise ValueError(
            f"{packed[0]} is compressed, and images cannot be found in it by their place; unpack "
            "it to .tar, move it away, or name the tars in dataset.shards"
        )
    if not files:
        raise FileNotFoundError(f"{folder} holds no file {' or '.join(suffixes)}; check the root")
    if split == WHOLE or folder != root:
        return files
    begins = re.compile(rf"{re.escape(split)}(?![A-Za-z0-9])")
    found = [file for file in files if begins.match(file.name)]
    if not found:
        names = sorted({re.split(r"[^A-Za-z]", file.name, maxsplit=1)[0] for file in files} - {""})
        there = ", ".join([WHOLE, *names][:_SHOWN])
        raise ValueError(f"{root} has no split {split!r}; choose one of {there}")
    return found
