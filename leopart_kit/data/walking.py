"""All files below folders, links to folders included, and no folder twice."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from leopart_kit.input_files import as_path

Identity = tuple[int, int]  # device and inode


class FilesBelow(NamedTuple):
    """Findings of a walk.

    Attributes:
        files: paths, sorted by folder and name. Strings: with a million files that saves minutes
            over `Path.rglob`.
        repeated: links to folders that were read at another place.
    """

    files: list[str]
    repeated: list[str]


def files_below(
    *starts: str | os.PathLike[str], without: str | os.PathLike[str] | None = None
) -> FilesBelow:
    """All files below some folders, hidden ones left out; each real folder is read once.

    Links to folders are followed. A folder that is reached at several places counts at its own, or
    else at the one with the fewest links on the way; so links in a circle come to an end.

    Args:
        without: a folder to leave out.

    Raises:
        OSError: a folder may not be read; it would be left out without a word.
    """
    seen: set[Identity] = set()
    if without is not None and os.path.isdir(without):
        seen = {_identity(without)} - {_identity(start) for start in starts}
    found: dict[str, list[str]] = {}
    repeated: list[str] = []
    to_do = [str(as_path(start, "a folder")) for start in starts]
    while to_do:
        links: list[str] = []
        for start in _links_last(to_do):
            if _identity(start) in seen:
                repeated.append(start)
                continue
            for parent, folders, files in os.walk(start, onerror=_raise):
                folders[:] = [name for name in folders if not name.startswith(".")]
                identity = _identity(parent)
                if identity in seen:
                    folders.clear()
                    continue
                seen.add(identity)
                found[parent] = [os.path.join(parent, f) for f in files if not f.startswith(".")]
                children = (os.path.join(parent, name) for name in folders)
                links += [child for child in children if os.path.islink(child)]
        to_do = links
    by_folder = sorted(found, key=lambda folder: folder.split(os.sep))
    return FilesBelow([f for folder in by_folder for f in sorted(found[folder])], sorted(repeated))


def _links_last(folders: Iterable[str]) -> list[str]:
    return sorted(folders, key=lambda folder: (os.path.islink(folder), folder.split(os.sep)))


def _identity(folder: str | os.PathLike[str]) -> Identity:
    stat = os.stat(folder)
    return stat.st_dev, stat.st_ino


def _raise(error: OSError) -> None:
    raise error


def real_stems(files: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Paths without suffix and with no link to a folder on the way."""
    real: dict[str, str] = {}
    stems = []
    for file in files:
        folder, name = os.path.split(file)
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        stems.append(os.path.join(real[folder], os.path.splitext(name)[0]))
    return stems
