"""The list of an export's files, kept beside them: the next export knows which are its own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import NamedTuple

from leopart_kit.whole_file import names_file, whole_file

logger = logging.getLogger(__name__)

LIST_NAME = "export_files.jsonl"


class WrittenFile(NamedTuple):
    """One file, as it was when it was written.

    Attributes:
        path: relative to the list's folder, with slashes.
        writer: which part of an export writes it.
        image: path of the image it was made of; empty for what speaks of all images.
        size, modified: bytes, and the time in nanoseconds.
    """

    path: str
    writer: str
    image: str
    size: int
    modified: int


class WrittenFiles:
    """The files in a folder that exports wrote, as a context in which one export adds its own.

    The list on disk has a line for every file as soon as it is written, so that a run that is
    killed leaves nothing unknown.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._list = folder / LIST_NAME
        self._earlier = _read(self._list)
        self._now: dict[str, WrittenFile] = {}

    def __enter__(self) -> WrittenFiles:
        self._lines = self._list.open("a", encoding="utf-8")
        self._lines.write("\n")  # the last line may be half of one
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with names_file(self._list):
            self._lines.close()

    def add(self, writer: str, image: Path | None, files: Iterable[Path]) -> None:
        """Note files that were written just now; raises `OSError`."""
        for file in files:
            path = file.relative_to(self._folder).as_posix()
            source = "" if image is None else os.path.abspath(image)
            state = file.lstat()
            entry = WrittenFile(path, writer, source, state.st_size, state.st_mtime_ns)
            self._now[path] = entry
            with names_file(self._list):
                self._lines.write(json.dumps(entry) + "\n")
                self._lines.flush()

    def remove_stale(self, writers: Collection[str], images: Path | None) -> None:
        """Delete what earlier exports wrote and this one would have written anew, and say so.

        That are the files of these writers whose images are gone, or in the folder `images` of
        this export but not among its own. What was changed since stays, and so do masks of
        images elsewhere.

        Raises:
            OSError: a file cannot be deleted.
        """
        removed, changed, elsewhere = [], [], []
        kept = dict(self._now)
        for path, entry in self._earlier.items():
            if path in self._now:
                continue
            file = self._folder / path
            if not _is_unchanged(file, entry):
                if os.path.lexists(file) and entry.writer in writers:
                    changed.append(file)
            elif entry.writer not in writers:
                kept[path] = entry
            elif entry.image and _is_alive(entry.image, images):
                elsewhere.append(file)
                kept[path] = entry
            else:
                file.unlink()
                _remove_empty_folders(file.parent, self._folder)
                removed.append(file)
        self._say(removed, "removed %d files of an earlier export whose images are gone: %s …")
        self._say(changed, "%d files of an earlier export were changed since and stay: %s …")
        self._say(elsewhere, "%d masks of images in another folder stay beside the new: %s …")
        with whole_file(self._list) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in kept.values())

    def _say(self, files: list[Path], message: str) -> None:
        if files:
            logger.info(message, len(files), files[0])


def _read(path: Path) -> dict[str, WrittenFile]:
    """The entries of a list by path, without lines that are no entry."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            name, writer, image, size, modified = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        texts = (name, writer, image)
        if all(isinstance(text, str) for text in texts) and _is_below(name):
            found[name] = WrittenFile(*texts, size, modified)
    return found


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _is_unchanged(file: Path, entry: WrittenFile) -> bool:
    try:
        state = file.lstat()
    except (OSError, ValueError):
        return False
    return (state.st_size, state.st_mtime_ns) == (entry.size, entry.modified)


def _is_alive(image: str, folder: Path | None) -> bool:
    """True if an image still exists and does not lie in a folder."""
    below = folder is not None and Path(image).is_relative_to(os.path.abspath(folder))
    return not below and os.path.exists(image)


def _remove_empty_folders(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
