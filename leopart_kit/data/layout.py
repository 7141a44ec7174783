"""Finding folders, files and lists in the places where data sets keep them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.segmentation import Sample
from leopart_kit.identity.stored import AnyFile
from leopart_kit.input_files import read_lines

_KINDS_SHOWN = 10


def find_first(root: Path, candidates: Iterable[str], what: str) -> Path:
    """The first candidate (relative to `root`) that exists.

    Raises:
        FileNotFoundError: names the root and every place that was looked at.
    """
    candidates = list(candidates)
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise FileNotFoundError(f"{root} has no {what}; looked for {', '.join(candidates)}")


def find_optional(root: Path, candidates: Iterable[str]) -> Path | None:
    """The first candidate (relative to `root`) that exists, or None."""
    return next((root / c for c in candidates if (root / c).exists()), None)


def choose_split(split: str, choices: Mapping[str, str] | Sequence[str], dataset: str) -> str:
    """The split, if the data set has it; `ValueError` with the choices if not."""
    if split not in choices:
        raise ValueError(f"{dataset} has no split {split!r}; choose one of {', '.join(choices)}")
    return split


def files_by_stem(folder: Path, ending: str | tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, str]:
    """Files of one folder whose name ends in `ending` (any case), by their name without it.

    Hidden files, such as the `._` companions that macOS writes, are no images and are left out.
    """
    endings = (ending,) if isinstance(ending, str) else ending
    files: dict[str, str] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        found = next((e for e in endings if entry.name.lower().endswith(e.lower())), None)
        if found is not None and not entry.name.startswith("."):
            files.setdefault(entry.name[: len(entry.name) - len(found)], entry.path)
    return files


def notes_of_walk(others: Counter[str], repeated: Sequence[str]) -> list[str]:
    """Notes: files that are no images, by suffix, and links that led to a folder again."""
    notes = []
    if others:
        # Files that number themselves by suffix or have none would fill a page.
        shown = sorted(others.most_common(_KINDS_SHOWN))
        rest = others.total() - sum(count for _, count in shown)
        kinds = [f"{count} {suffix}" for suffix, count in shown]
        notes.append(f"left out, not images: {', '.join(kinds + [f'{rest} more'] * bool(rest))}")
    if repeated:
        notes.append(
            f"read once: {len(repeated)} links lead to folders again, such as {repeated[0]}"
        )
    return notes


def read_list(path: Path) -> list[str]:
    """The lines of a list file, stripped, without the empty ones.

    Raises:
        ValueError: the list is empty, or as `read_text`.
    """
    lines = read_lines(path)
    if not lines:
        raise ValueError(f"{path} lists no image; write one name a line")
    return lines


def require_files(paths: Sequence[AnyFile], listed_in: object, what: str) -> None:
    """Raise `FileNotFoundError` with the first missing file and how many are missing."""
    missing = [path for path in paths if not os.path.exists(str(path))]
    if missing:
        raise FileNotFoundError(
            f"{missing[0]} does not exist ({len(missing)} of {len(paths)} {what} of {listed_in} "
            "are missing); complete the data set or shorten the list"
        )


def pair_files(
    images: Mapping[str, str], masks: Mapping[str, str], image_folder: Path, mask_folder: Path
) -> tuple[list[Sample], list[str]]:
    """Samples of all images, each with the mask of the same name; notes on unused masks.

    Raises:
        FileNotFoundError: an image without a mask, or no image at all.
    """
    if not images:
        raise FileNotFoundError(f"{image_folder} holds no image; check the root and the split")
    missing = [name for name in images if name not in masks]
    if missing:
        raise FileNotFoundError(
            f"{images[missing[0]]} has no mask in {mask_folder} ({len(missing)} of {len(images)} "
            "images have none); add the masks or remove the images"
        )
    samples = [Sample(name, image, (masks[name],)) for name, image in images.items()]
    unused = len(masks) - len(samples)
    return samples, [f"{unused} masks in {mask_folder} have no image"] if unused else []
