"""What a command leaves in its folder, as a flat mapping from a place to a figure or a digest.

    results.json, metrics.jsonl, …   every number, truth value and identifier, by its place
    masks and other images           digest of mode, palette and pixels
    backbone.safetensors, *.npz      digest of each tensor or array, not of the file
    coco/, labelme/, yolo/           digest of each file's content, whatever its layout
    *.html, *.svg, *.md              rows of numbers and digests of pictures, in any order

Left out: times, memory, versions, hashes and lists of files, settings, prose, logs, checkpoints
and cached features. They may change while the figures may not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from safetensors.numpy import load_file

from .pages import page_figures, picture_digest, table_figures

Figure = float | int | bool | str | None | list[str]
Record = dict[str, Figure]

_FOLDERS = {"features", "checkpoints", "config", "tensorboard"}
# Settings and times; metrics.csv has the rows of metrics.jsonl.
_FILES = {"training.json", "identity.json", "export_files.jsonl", "metrics.csv"}
_ANNOTATIONS = {"coco", "labelme", "yolo"}
_KEYS = re.compile(
    r"settings|notes|schema_version|versions|git_sha|(.*_)?sha256|root|weights|command"
    r"|timing_seconds|(.*_)?(seconds|memory_mb)|.*_per_second|.*minutes"
)
_IDENTIFIER = re.compile(r"[\w.:+/-]*")
_LONG = 24


def record(folder: Path) -> Record:
    """Everything a command left below `folder` that must not change."""
    left: Record = {}
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        parents = set(place.parts[:-1])
        if not file.is_file() or file.is_symlink() or parents & _FOLDERS or file.name in _FILES:
            continue
        if parents & _ANNOTATIONS and file.suffix in (".json", ".yaml", ".txt"):
            left[str(place)] = _annotation_digest(file, folder.parent)
        elif file.suffix in _READERS:
            for what, figure in _READERS[file.suffix](file):
                left[f"{place} {what}".rstrip()] = figure
    return left


def _annotation_digest(file: Path, run_in: Path) -> str:
    """Digest of a text without the name of the folder in which the command was run."""
    text = file.read_text(encoding="utf-8").replace(str(run_in.resolve()), "")
    if file.suffix == ".json":
        text = json.dumps(json.loads(text), sort_keys=True)
    elif file.suffix == ".yaml":
        text = json.dumps(yaml.safe_load(text))
    return _digest(text.encode())


def _json(file: Path) -> Iterator[tuple[str, Figure]]:
    return _leaves(json.loads(file.read_text(encoding="utf-8")), "")


def _json_lines(file: Path) -> Iterator[tuple[str, Figure]]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        yield from _leaves(json.loads(line), f"{number}")


def _leaves(content: Any, place: str) -> Iterator[tuple[str, Figure]]:
    """Path and figure of everything in a JSON document that is one."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if not _KEYS.fullmatch(key):
                yield from _leaves(value, f"{place}.{key}".lstrip("."))
    elif isinstance(content, list):
        if len(content) > _LONG and all(_is_whole(value) for value in content):
            yield place, _digest(json.dumps(content).encode())
            return
        for index, value in enumerate(content):
            yield from _leaves(value, f"{place}[{index}]")
    elif not isinstance(content, str) or _IDENTIFIER.fullmatch(content):
        yield place, content


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) or (
        isinstance(value, list) and all(_is_whole(part) for part in value)
    )


def _picture(file: Path) -> Iterator[tuple[str, Figure]]:
    with Image.open(file) as picture:
        yield "", picture_digest(picture)


def _tensors(file: Path) -> Iterator[tuple[str, Figure]]:
    return _arrays(load_file(file))


def _npz(file: Path) -> Iterator[tuple[str, Figure]]:
    with np.load(file) as arrays:
        yield from _arrays(dict(arrays))


def _arrays(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Figure]]:
    for name, array in arrays.items():
        if array.dtype.kind not in "USO":
            head = f"{array.dtype} {array.shape}"
            yield name, _digest(head.encode() + np.ascontiguousarray(array).tobytes())


def _page(file: Path) -> Iterator[tuple[str, Figure]]:
    rows, pictures = page_figures(file)
    yield "rows", rows
    yield "pictures", pictures


def _markdown(file: Path) -> Iterator[tuple[str, Figure]]:
    yield "rows", table_figures(file)


def _text(file: Path) -> Iterator[tuple[str, Figure]]:
    yield "", _digest(file.read_bytes())


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, Figure]]]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".png": _picture,
    ".jpg": _picture,
    ".safetensors": _tensors,
    ".npz": _npz,
    ".html": _page,
    ".svg": _page,
    ".md": _markdown,
    ".csv": _text,
}
