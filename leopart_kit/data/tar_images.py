"""Images and masks in tars, as WebDataset keeps them: KEY.jpg, KEY.seg.png, KEY.json."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from leopart_kit.data.containers import find_containers
from leopart_kit.data.folder_labels import folder_labels
from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.kept_index import KeptIndex, text_at, texts_of
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.samples import MadeSamples, Sample
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.data.tar_index import TarMember, tar_index
from leopart_kit.input_files import as_path

_SHOWN = 10


class Kinds(NamedTuple):
    """Extensions of images and masks; None for all that images usually have, and for no masks."""

    image: str | None
    mask: str | None


def tar_images(
    root: str | os.PathLike[str],
    split: str = "all",
    label_set: str | None = None,
    *,
    shards: Sequence[str | os.PathLike[str]] | None = None,
    image: str | None = None,
    mask: str | None = None,
    binary: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> SegmentationDataset:
    """The images of tars in the WebDataset convention, in the order in which they lie there.

    Files are those of `find_containers`. A sample is all members of one key, the name up to the
    first dot; the rest is the extension, compared in lower case. `image` and `mask` say which ones
    count; by default the images are all of the usual extensions, such as jpg, and there are no
    masks. Names are keys, with that of the tar in front where two tars have the same. Masks and
    classes are as in `image_folder`, with `classes.json` or `classes.txt` beside the tars.

    Raises:
        FileNotFoundError: a tar is missing, or there is no image in them.
        ValueError: a damaged tar, two images of one key, or no mask of that extension.
        UnknownClassError: as `image_folder`.
    """
    choose_label_set(label_set, ["folder"], "webdataset", "folder")
    limit = check_megapixels(max_megapixels)
    kinds = Kinds(_extension(image), _extension(mask))
    if kinds.image is not None and kinds.image == kinds.mask:
        raise ValueError(f"image and mask are both {image!r}; give them different extensions")
    root = as_path(root, "root")
    files = find_containers(root, split, (".tar",), shards)
    parts = [_part(file, tar_index(file), kinds) for file in files]
    make = _Row(parts, _prefixes(files) if _keys_repeat(parts) else [""] * len(parts))
    masked = np.concatenate([part.masks >= 0 for part in parts])
    if not len(masked):
        there = ", ".join(kind for kind, _ in _all_kinds(parts).most_common(_SHOWN))
        raise FileNotFoundError(f"{files[0]} and the other tars hold no image, but {there or '0'}")
    if mask is not None and not masked.any():
        there = ", ".join(kind for kind, _ in _all_kinds(parts).most_common(_SHOWN))
        raise ValueError(
            f"no mask {mask!r} in {files[0]} and the other tars, but {there}; set mask"
        )
    samples = MadeSamples(make, range(len(masked)))
    folder = root if root.is_dir() else files[0].parent
    labels, table, colors = folder_labels(folder, samples.at(np.flatnonzero(masked)), binary, limit)
    read_mask = partial(read_classes, table=table, colors=colors, max_megapixels=limit)
    notes = _notes(parts, kinds, masked)
    return SegmentationDataset("webdataset", split, root, labels, samples, read_mask, notes, limit)


def _extension(text: str | None) -> str | None:
    return None if text is None else text.lower().lstrip(".")


class _Part(NamedTuple):
    """A tar: numbers of the members that are images, and of their masks, −1 for none; int32."""

    file: Path
    index: KeptIndex
    images: np.ndarray
    masks: np.ndarray


def _part(file: Path, index: KeptIndex, kinds: Kinds) -> _Part:
    names = texts_of(index, "kinds")
    is_image = np.array([_is_image(name, kinds) for name in names], dtype=np.bool_)
    is_mask = np.array([name == kinds.mask for name in names], dtype=np.bool_)
    of, kind = index["sample"], index["kind"]
    images = np.flatnonzero(is_image[kind]).astype(np.int32)
    mask_of = np.full(len(index["texts_ends"]), -1, np.int32)
    masks = np.flatnonzero(is_mask[kind])
    mask_of[of[masks]] = masks
    samples, times = np.unique(of[images], return_counts=True)
    if len(samples) < len(images):
        key = text_at(index, int(samples[times > 1][0]))
        two = [names[k] for k in kind[images[of[images] == samples[times > 1][0]]][:2]]
        raise ValueError(
            f"{file} holds two images of {key}, {' and '.join(two)}; set dataset.image to the "
            "extension of the images, or dataset.mask to that of the masks"
        )
    return _Part(file, index, images, mask_of[of[images]])


def _is_image(kind: str, kinds: Kinds) -> bool:
    if kinds.image is not None:
        return kind == kinds.image
    return kind != kinds.mask and f".{kind}" in IMAGE_SUFFIXES


class _Row:
    """From the number of an image in all tars to its sample."""

    def __init__(self, parts: Sequence[_Part], prefixes: Sequence[str]) -> None:
        self._parts, self._prefixes = parts, prefixes
        self._ends = np.cumsum([len(part.images) for part in parts])

    def __call__(self, row: int) -> Sample:
        place = int(np.searchsorted(self._ends, row, side="right"))
        part = self._parts[place]
        row -= int(self._ends[place]) - len(part.images)
        image, mask = (int(rows[row]) for rows in (part.images, part.masks))
        key = text_at(part.index, int(part.index["sample"][image]))
        masks = (_member(part, mask, key),) if mask >= 0 else ()
        return Sample(f"{self._prefixes[place]}{key}", _member(part, image, key), masks)


def _member(part: _Part, row: int, key: str) -> TarMember:
    index = part.index
    kind = text_at(index, int(index["kind"][row]), "kinds")
    start, size = int(index["start"][row]), int(index["size"][row])
    return TarMember(str(part.file), f"{key}.{kind}", start, size)


def _keys_repeat(parts: Sequence[_Part]) -> bool:
    hashes = [part.index["hashes"][part.index["sample"][part.images]] for part in parts]
    together = np.concatenate(hashes)
    return len(np.unique(together)) < len(together)


def _prefixes(files: Sequence[Path]) -> list[str]:
    whole = [str(file.with_suffix("").absolute()) for file in files]
    above = os.path.commonpath([os.path.dirname(path) for path in whole])
    return [f"{os.path.relpath(path, above)}/" for path in whole]


def _all_kinds(parts: Sequence[_Part]) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in parts:
        times = np.bincount(part.index["kind"], minlength=len(part.index["kinds_ends"]))
        found.update(dict(zip(texts_of(part.index, "kinds"), times.tolist(), strict=True)))
    return found


def _notes(parts: Sequence[_Part], kinds: Kinds, masked: np.ndarray) -> list[str]:
    """Counts of members that play no part, as a folder's of files."""
    others = {
        f".{kind}": count
        for kind, count in _all_kinds(parts).most_common()
        if not _is_image(kind, kinds) and kind != kinds.mask
    }
    nameless, links = np.sum([part.index["left_out"] for part in parts], axis=0).tolist()
    others |= {name: n for name, n in (("without a key", nameless), ("links", links)) if n}
    notes = []
    if others:
        shown = [f"{count:,} {name}" for name, count in list(others.items())[:_SHOWN]]
        rest = sum(list(others.values())[_SHOWN:])
        notes.append(f"left out, not images: {', '.join(shown + [f'{rest:,} more'] * bool(rest))}")
    if kinds.mask is not None and not masked.all():
        without = int((~masked).sum())
        notes.append(f"{without:,} of {len(masked):,} images have no mask; they are not scored")
    unused = _all_kinds(parts)[kinds.mask or ""] - int(masked.sum())
    if kinds.mask is not None and unused:
        notes.append(f"{unused:,} masks have no image")
    return notes
