"""Members of a tar in the WebDataset convention, found by number: where each begins and ends.

Webdataset itself reads tars from front to end, and its module with random access is gone. So the
standard library's `tarfile` finds the members, once.
"""

from __future__ import annotations

import re
import tarfile
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.kept_index import KeptIndex, kept_index, packed_texts
from leopart_kit.data.samples import name_below
from leopart_kit.identity.stored import StoredFile

_KEY = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]*)", re.DOTALL)
_META = re.compile(r"__[^/]*__($|/)")  # of the convention: no members of samples
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class TarMember(StoredFile):
    """A file in a tar; `start` is the place of its first byte."""

    container: str
    name: str
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.container}/{self.name}"

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """See `StoredFile.read`; `BrokenSampleError` where the tar holds something else there."""
        wanted = self.size - start if length is None else min(length, self.size - start)
        with open(self.container, "rb") as file:
            file.seek(self.start - _BLOCK)
            head = file.read(_BLOCK)
            file.seek(self.start + start)
            content = file.read(wanted)
        if _size_in(head) != self.size or len(content) != wanted:
            raise BrokenSampleError(f"{self} is not where it was; the tar was changed: start again")
        return content


def _size_in(head: bytes) -> int | None:
    try:
        return tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").size
    except tarfile.HeaderError:
        return None


def tar_index(file: Path) -> KeptIndex:
    """The members of a tar; made once, see `kept_index`.

    Returns:
        Of each sample (members of one key): `texts` the keys, `hashes` of them, int64. Of each
        member: `sample` and `kind` (its number among the extensions `kinds`), int32; `start` and
        `size`, int64. `left_out`: members without a key, links, int64 `[2]`.

    Raises:
        ValueError: it is no tar or a packed one, is damaged, or has two members of one key and
            extension.
    """
    return kept_index(file, partial(_read_tar, file))


def _read_tar(file: Path) -> Mapping[str, np.ndarray]:
    rows: dict[str, int] = {}
    kinds: dict[str, int] = {}
    numbers = {name: array("q") for name in ("sample", "kind", "start", "size")}
    seen: set[tuple[int, int]] = set()
    left_out = [0, 0]
    for member in _members(file):
        found = _KEY.fullmatch(member.name)
        if not member.isreg() or member.issparse():
            left_out[1] += not member.isdir()
        elif found is None or _META.match(member.name):
            left_out[0] += 1
        else:
            key, kind = name_below(found[1]), found[2].lower()
            place = rows.setdefault(key, len(rows)), kinds.setdefault(kind, len(kinds))
            if place in seen:
                raise ValueError(f"{file} holds two members {key}.{kind}; remove one of them")
            seen.add(place)
            values = (*place, member.offset_data, member.size)
            for numbers_of, value in zip(numbers.values(), values, strict=True):
                numbers_of.append(value)
    hashes = [blake2b(_bytes(key), digest_size=8).digest() for key in rows]
    arrays = {name: np.frombuffer(values, np.int64) for name, values in numbers.items()}
    return {
        **packed_texts("texts", map(_bytes, rows)),
        **packed_texts("kinds", map(_bytes, kinds)),
        "hashes": np.frombuffer(bytearray().join(hashes), np.int64),
        **{name: arrays[name].astype(np.int32) for name in ("sample", "kind")},
        **{name: arrays[name] for name in ("start", "size")},
        "left_out": np.array(left_out),
    }


def _bytes(name: str) -> bytes:
    return name.encode(errors="backslashreplace")


def _members(file: Path) -> Iterator[tarfile.TarInfo]:
    """The members of a tar that is whole."""
    advice = "write it anew, without compression"
    try:
        with tarfile.open(file, "r:") as tar:
            while (member := tar.next()) is not None:
                yield member
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue] (it keeps all)
            end = tar.offset
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{file} is no tar, or a damaged one ({error}); {advice}") from error
    # `tarfile` takes a damaged head of a member for the end.
    with file.open("rb") as opened:
        opened.seek(end)
        rest = opened.read(_BLOCK)
        if len(rest) < _BLOCK:
            raise ValueError(f"{file} is truncated: it breaks off at byte {end:,}; {advice}")
        while rest and not any(rest):
            rest = opened.read(1 << 20)
    if rest:
        raise ValueError(f"{file} goes on after its end or is damaged, at byte {end:,}; {advice}")
