"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leopart_kit.named_errors import names_file
from leopart_kit.scratch import scratch_file

_PROBE = 1 << 16  # bytes


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block succeeds.

    A reader never meets half a file, and a run that breaks off leaves the previous file as it was.

    Raises:
        OSError: the file cannot be written; carries the name of `path`.
    """
    with names_file(path), scratch_file(path) as temporary:
        try:
            yield temporary
        except Exception:
            _check_space(temporary)
            raise
        temporary.chmod(0o666 & ~_umask())  # some libraries write for the owner alone
        os.replace(temporary, path)


def write_whole_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; names of files in another encoding are shown with their bytes escaped.

    Raises:
        OSError: as `whole_file`.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _check_space(file: Path) -> None:
    """Raise `OSError` if the disk is full: libraries report that each in an error of their own."""
    with file.open("ab") as opened:
        opened.write(bytes(_PROBE))


def _umask() -> int:
    """The permissions that new files of this process lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
