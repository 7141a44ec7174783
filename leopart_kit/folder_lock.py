"""A folder that one run at a time may write into."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

LOCK_NAME = ".lock"

_held: set[int] = set()  # descriptors of this process


@contextmanager
def only_writer(folder: Path, setting: str) -> Iterator[None]:
    """Inside, no other run may enter with the same folder; it is made if it is missing.

    The system frees the lock when the process ends, however it ends. A forked process, such as a
    loader's worker that outlives a killed run for seconds, does not hold it.

    Args:
        setting: what to set to another folder, as errors say it.

    Raises:
        ValueError: another run writes there, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder / LOCK_NAME)
    except BlockingIOError:
        raise ValueError(
            f"another run is writing {folder}; wait for it to end, or set another {setting}"
        ) from None
    except OSError as error:
        raise ValueError(
            f"cannot write to {folder}: {error.strerror}; set {setting} to a folder that can be "
            "written"
        ) from error
    _held.add(descriptor)
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it before finds out in `_locked`.
        with contextlib.suppress(OSError):
            (folder / LOCK_NAME).unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def _locked(file: Path) -> int:
    """A descriptor that holds the lock; `BlockingIOError` where another one does."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, file)
            if _is_there(descriptor, file):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # of a run that has just ended


def _lock(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        logger.warning("%s: this disk knows no locks; start no second run there", file.parent)


def _is_there(descriptor: int, file: Path) -> bool:
    """True if the file of a descriptor is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False


def _let_go() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
