"""Files and folders that appear whole or not at all, written by one run at a time.

They are made beside their place as `.NAME.PID.tmp`, locked while in use. A lock ends with its
process, however that ends: a later run can tell what is left over from what is being written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

_SCRATCH = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)
_LONGEST = 100  # bytes of a name that are kept: with what is added it fits every file system
_PROBE = 1 << 16  # bytes that a full disk has no room for

_own: set[Path] = set()  # scratch of this process that may be on disk
os.register_at_fork(after_in_child=_own.clear)


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


def scratch_path(path: Path) -> Path:
    """Place beside `path` where it is made, under a name that is never too long.

    The name is that of `path` with this process's number, or a hash of it where it is long.
    """
    encoded = os.fsencode(path.name)
    name = path.name if len(encoded) <= _LONGEST else hashlib.sha256(encoded).hexdigest()[:32]
    return path.with_name(f".{name}.{os.getpid()}.tmp")


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, gone at the end unless it was moved away.

    Raises:
        OSError: it cannot be made; carries its name.
    """
    temporary = scratch_path(path)
    _own.add(temporary)
    try:
        with _locked(os.open(temporary, os.O_RDWR | os.O_CREAT, 0o666)):
            yield temporary
    finally:
        _remove_own(temporary)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, gone at the end with all that it holds.

    Raises:
        OSError: it cannot be made; carries its name.
    """
    temporary = scratch_path(path)
    _own.add(temporary)
    try:
        temporary.mkdir()
    except OSError:
        _own.discard(temporary)  # not made, or of another machine whose process has this number
        raise
    try:
        with _locked(os.open(temporary, os.O_RDONLY)):
            yield temporary
    finally:
        _remove_own(temporary)


def remove_own_scratch() -> None:
    """Delete what an interrupt has left in the moment that it was made or removed."""
    for path in list(_own):
        _remove_own(path)


def _remove_own(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.parent.is_dir():
        path.unlink(missing_ok=True)
    _own.discard(path)


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Delete what killed runs left directly in these folders, where they exist, and say so.

    Nothing is deleted that another name was given to, that a process is using, or that cannot be
    told to be unused.
    """
    removed = [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if _SCRATCH.fullmatch(path.name) and _remove_unused(path)
    ]
    if removed:
        logger.info(
            "removed %d temporary files of a run that was killed, from %s on",
            len(removed),
            removed[0],
        )


def folders_below(folder: Path) -> Iterator[Path]:
    """A folder, where it exists, and all folders inside of it; links are not followed."""
    return (Path(path) for path, _, _ in os.walk(folder))


@contextmanager
def names_file(path: Path) -> Iterator[None]:
    """An `OSError` inside carries the name of `path`.

    A full disk is reported without one, other errors perhaps with that of a temporary file.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _check_space(file: Path) -> None:
    """Raise `OSError` if the disk is full: libraries report that each in an error of their own."""
    with file.open("ab") as opened:
        opened.write(bytes(_PROBE))


def _umask() -> int:
    """The permissions that new files of this process lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _remove_unused(path: Path) -> bool:
    """Delete a file or folder that no process has locked; whether it is gone."""
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        return False
    try:
        with _locked(os.open(path, os.O_RDONLY), at_once=True):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError:  # in use, not ours to delete, or on a disk that knows no locks
        return False
    return True


@contextmanager
def _locked(descriptor: int, at_once: bool = False) -> Iterator[None]:
    """Hold a lock on an open file, and close it at the end.

    With `at_once` a lock that is not to be had is an `OSError`; else work goes on without one, as
    on disks that know no locks.
    """
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if at_once:
                raise
        yield
    finally:
        os.close(descriptor)


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
        descriptor = _hold(folder / LOCK_NAME)
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
        # Removed while it is held: whoever opened it before finds out in `_hold`.
        with contextlib.suppress(OSError):
            (folder / LOCK_NAME).unlink()
        _held.discard(descriptor)
        os.close(descriptor)


def _hold(file: Path) -> int:
    """A descriptor that holds the lock; `BlockingIOError` where another one does."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(descriptor, file)
            if _is_there(descriptor, file):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # of a run that has just ended


def _take(descriptor: int, file: Path) -> None:
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
