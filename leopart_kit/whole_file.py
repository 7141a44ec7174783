"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leopart_kit.scratch import scratch_file


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block succeeds.

    A reader never meets half a file, and a run that breaks off leaves the previous file as it was.

    Raises:
        OSError: the file cannot be written; carries the name of `path`.
    """
    try:
        with scratch_file(path) as temporary:
            yield temporary
            temporary.chmod(0o666 & ~_umask())  # some libraries write for the owner alone
            os.replace(temporary, path)
    except OSError as error:
        # A full disk is reported without a file name, other errors with the temporary one.
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_whole_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; names of files in another encoding are shown with their bytes escaped.

    Raises:
        OSError: as `whole_file`.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _umask() -> int:
    """The permissions that new files of this process lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
