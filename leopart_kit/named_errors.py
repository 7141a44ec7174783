"""Errors of the file system that say which file they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def names_file(path: Path) -> Iterator[None]:
    """An `OSError` inside carries the name of `path`.

    A full disk is reported without one, other errors perhaps with that of a temporary file.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
