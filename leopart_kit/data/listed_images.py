"""Images that a list names, one path a line: millions, without a copy in each worker."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from leopart_kit.data.folder_labels import folder_labels
from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.kept_index import KeptIndex, kept_index, text_at
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.samples import MadeSamples, Sample, name_below, need_suffix, without_suffix
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.input_files import as_path, check_regular

WHOLE = "all"
_SUFFIXES = (".txt", ".tsv", ".lst")
_NO_TEXT = (b"\0", b"\xff\xfe", b"\xfe\xff")  # UTF-16, with marks and without
_MARK = b"\xef\xbb\xbf"  # of UTF-8, which some editors begin files with
_THREADS, _AT_ONCE = 8, 10_000


def listed_images(
    root: str | os.PathLike[str],
    split: str = WHOLE,
    label_set: str | None = None,
    *,
    base: str | os.PathLike[str] | None = None,
    binary: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> SegmentationDataset:
    """The images of a list, in its order: one path a line and, behind a tab, that of its mask.

    `root` is the list, or a folder of lists `<split>.txt`. Paths start from `base`, by default the
    folder of the list, where `classes.json` or `classes.txt` may be, too: masks and classes are as
    in `image_folder`. A name is a path without suffix, unless two differ only in it, and without
    `..` and the slash in front. Empty lines do not count.

    The list is read once, with a look whether all files are there; later a small index beside it
    is mapped, see `kept_index`.

    Raises:
        FileNotFoundError: no such list, or a file that it names; says the line.
        ValueError: it is blank, no UTF-8, or names an image twice; an unknown split or label set.
        UnknownClassError: as `image_folder`.
    """
    choose_label_set(label_set, ["folder"], "list", "folder")
    limit = check_megapixels(max_megapixels)
    file = _find_list(as_path(root, "root"), split)
    check_regular(file)
    start = file.parent if base is None else as_path(base, "base").expanduser()
    if not start.is_dir():
        raise FileNotFoundError(f"{start} is no folder; point base at the one that paths start in")
    start = start.resolve()
    index = kept_index(file, partial(_read_list, file, start), str(start))
    samples = MadeSamples(_Line(index, start), range(len(index["texts_ends"])))
    masked = samples.at(np.flatnonzero(index["masked"]))
    labels, table, colors = folder_labels(file.parent, masked, binary, limit)
    read_mask = partial(read_classes, table=table, colors=colors, max_megapixels=limit)
    notes = []
    if 0 < len(masked) < len(samples):
        without = len(samples) - len(masked)
        notes = [f"{without:,} of {len(samples):,} images have no mask; they are not scored"]
    return SegmentationDataset("list", split, root, labels, samples, read_mask, notes, limit)


def _find_list(root: Path, split: str) -> Path:
    if not root.is_dir():
        check_regular(root)
        if split != WHOLE:
            raise ValueError(
                f"{root} is one list and has no split {split!r}; point root at the folder of "
                f"{split}{_SUFFIXES[0]}"
            )
        return root
    places = [root / f"{split}{suffix}" for suffix in _SUFFIXES]
    there = sorted(path.name for path in root.iterdir() if path.suffix in _SUFFIXES)
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(
        f"{root} has no list {places[0].name} (its lists: {', '.join(there[:10]) or 'none'}); set "
        "split, or point root at the list itself"
    )


class _Line:
    """From a row of the index to its sample."""

    def __init__(self, index: KeptIndex, base: Path) -> None:
        self._index, self._base = index, str(base)

    def __call__(self, row: int) -> Sample:
        image, _, mask = text_at(self._index, row).partition("\t")
        name = name_below(image) if self._index["whole"][row] else name_below(without_suffix(image))
        masks = (os.path.join(self._base, mask),) if mask else ()
        return Sample(name, os.path.join(self._base, image), masks)


def _read_list(file: Path, base: Path) -> Mapping[str, np.ndarray]:
    """The index of a list; see `listed_images` for what is refused."""
    texts, ends, lines, masked = bytearray(), array("q"), array("q"), bytearray()
    for number, line in _lines(file):
        texts += line
        ends.append(len(texts))
        lines.append(number)
        masked.append(b"\t" in line)
    if not ends:
        raise ValueError(f"{file} lists no image; write one path a line")

    def fields() -> Iterator[list[str]]:
        start = 0
        for end in ends:
            yield texts[start:end].decode().split("\t")
            start = end

    whole = need_suffix(name_below(image) for image, *_ in fields())
    names = (
        name_below(image if keep else without_suffix(image))
        for (image, *_), keep in zip(fields(), whole, strict=True)
    )
    _check_distinct(file, lines, np.fromiter(map(hash, names), np.int64, len(ends)))
    _check_there(file, lines, fields(), base)
    return {
        "texts": np.frombuffer(texts, np.uint8),
        "texts_ends": np.frombuffer(ends, np.int64),
        "whole": whole,
        "masked": np.frombuffer(masked, np.bool_),
    }


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Number and content of the lines that are not empty, without blanks around their fields."""
    with file.open("rb") as opened:
        for number, raw in enumerate(opened, start=1):
            if any(sign in raw for sign in _NO_TEXT):
                raise ValueError(f"{file} is UTF-16 or no text; save it as UTF-8")
            fields = [field.strip() for field in raw.replace(_MARK, b"").split(b"\t")]
            while fields and not fields[-1]:
                fields.pop()
            if not fields:
                continue
            if len(fields) > 2 or not fields[0]:
                raise ValueError(
                    f"{file} line {number} has {len(fields)} fields; write the path of an image "
                    "and, behind one tab, that of its mask"
                )
            line = b"\t".join(fields)
            try:
                line.decode()
            except UnicodeDecodeError:
                raise ValueError(
                    f"{file} is not UTF-8 in line {number}; save it as UTF-8"
                ) from None
            yield number, line


def _check_distinct(file: Path, lines: array[int], names: np.ndarray) -> None:
    order = np.argsort(names, kind="stable")
    again = order[1:][names[order][1:] == names[order][:-1]]
    if len(again):
        row = int(again.min())
        first = int(np.flatnonzero(names == names[row])[0])
        raise ValueError(
            f"{file} lists one image in lines {lines[first]} and {lines[row]}; list it once"
        )


def _check_there(file: Path, lines: array[int], fields: Iterator[list[str]], base: Path) -> None:
    """Raise `FileNotFoundError` with the first file that is missing, and how many are."""

    def without(rows: list[tuple[int, list[str]]]) -> list[tuple[int, str]]:
        paths = [(n, os.path.join(base, path)) for n, paths in rows for path in paths]
        return [(number, path) for number, path in paths if not os.path.exists(path)]

    rows = list(zip(lines, fields, strict=True))
    blocks = [rows[i : i + _AT_ONCE] for i in range(0, len(rows), _AT_ONCE)]
    with ThreadPoolExecutor(_THREADS) as pool:
        missing = [found for block in pool.map(without, blocks) for found in block]
    if missing:
        number, path = missing[0]
        raise FileNotFoundError(
            f"{file} line {number}: {path} does not exist ({len(missing):,} files of "
            f"{len(lines):,} lines are missing); correct the list, or set base to the folder that "
            "its paths start from"
        )
