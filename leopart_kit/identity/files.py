"""Hashes of files: content counts, not where a file lies or when it was touched."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from leopart_kit.identity.stored import AnyFile, StoredFile

WHOLE_BYTES = 512 << 20
"""Sets of files up to this size together are read whole."""

END_BYTES = 16 << 10
"""Bytes read from the beginning and the end of each file of a larger set."""

MOST_FILES = 100_000
"""Of still larger sets so many files are opened, at even distances."""

_THREADS, _AT_ONCE, _BLOCK = 8, 4096, 1 << 20
_SETTLED = 2_000_000_000  # ns; two changes within one tick of a disk's clock look like one
_known: dict[str, str] = {}


class _Found(NamedTuple):
    """A file on disk; `state` changes with whatever happens to it, `size` is -1 without it."""

    file: AnyFile
    times: int
    size: int
    state: tuple[int, ...]


def file_sha256(path: AnyFile | Path) -> str:
    """SHA-256 (hex) of a file; raises `OSError`, and of one inside of another as its `read`."""
    if isinstance(path, StoredFile):
        return hashlib.sha256(path.read()).hexdigest()
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def file_size(file: AnyFile) -> int:
    """Bytes of a file; raises `OSError`, or `ValueError` for what can be no path."""
    return file.size if isinstance(file, StoredFile) else os.stat(file).st_size


def hash_files(names: Sequence[str], files: Sequence[AnyFile]) -> str:
    """SHA-256 (hex) over names and what their files hold, in order.

    Sets of at most `WHOLE_BYTES` are read whole. Of each file of a larger set its size and its
    first and last `END_BYTES` count. That finds other pixels in a PNG, whose end holds a checksum
    of all pixels. It nearly always does in a JPEG, where the bits after a change differ. An
    uncompressed image that is changed in its middle alone passes. Of more than `MOST_FILES` files
    so many are opened, at even distances, and the sizes of all count.

    Files that are missing or cannot be read count as such. Within a process, a set whose files are
    untouched is not read again; the time of change (ctime) tells, which no program can set back.
    """
    found = [_find(path, len(list(same))) for path, same in groupby(files)]
    state = _sha256(repr(part) for part in (*names, *found))
    if state in _known:
        return _known[state]
    lines = (f"{name!r} {text}" for name, text in zip(names, _contents(found), strict=True))
    content = _sha256(lines)
    if all(time.time_ns() - max(one.state, default=0) > _SETTLED for one in found):
        _known[state] = content
    return content


def _sha256(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def _find(file: AnyFile, times: int) -> _Found:
    stored = isinstance(file, StoredFile)
    try:
        at = os.stat(file.container if stored else file)
        size = file.size if stored else at.st_size if stat.S_ISREG(at.st_mode) else 0
    except (OSError, ValueError):
        return _Found(file, times, -1, ())
    return _Found(file, times, size, (at.st_mode, at.st_ino, at.st_mtime_ns, at.st_ctime_ns))


def _contents(found: Sequence[_Found]) -> Iterator[str]:
    """Hash of each file, in order, once for each of its times."""
    whole = sum(one.size for one in found) <= WHOLE_BYTES
    step = -(-len(found) // MOST_FILES)

    def content(place: int) -> str:
        one = found[place]
        return f"{one.size} {_hash(one, whole) if place % step == 0 else ''}"

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(found), _AT_ONCE):
            block = range(start, min(start + _AT_ONCE, len(found)))
            for place, text in zip(block, pool.map(content, block), strict=True):
                yield from [text] * found[place].times


def _hash(one: _Found, whole: bool) -> str:
    if one.size < 0 or not stat.S_ISREG(one.state[0]):
        return "no file"
    if whole or one.size <= 2 * END_BYTES:
        ends = ((0, one.size),)
    else:
        ends = ((0, END_BYTES), (one.size - END_BYTES, END_BYTES))
    digest = hashlib.sha256()
    try:
        for block in _blocks(one.file, ends):
            digest.update(block)
    except (OSError, ValueError):
        return "unreadable"
    return digest.hexdigest()


def _blocks(file: AnyFile, parts: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes of some parts, `(start, length)` each, of a file."""
    if isinstance(file, StoredFile):
        yield from (file.read(start, length) for start, length in parts)
        return
    with open(file, "rb", buffering=0) as opened:
        for start, length in parts:
            opened.seek(start)
            while length and (block := opened.read(min(length, _BLOCK))):
                yield block
                length -= len(block)
