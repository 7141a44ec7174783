"""The output folder of a run, checked before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from leopart_kit.whole_file import remove_leftovers, scratch_file

_BLOCK = 4096  # bytes


def writable_output_dir(path: str | os.PathLike[str]) -> Path:
    """Create the folder, its parents too, and make sure that files can be written into it.

    Meant for the start of a run, so that hours of work do not end at a folder that takes nothing.
    How much space a run needs is not asked here: who reserves or writes a file says it.
    Temporary files of an earlier run that was killed are removed.

    Raises:
        ValueError: the path is a file, may not be written, or its disk is full; names the folder.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers([folder])
        with scratch_file(folder / "write_test") as probe:
            probe.write_bytes(bytes(_BLOCK))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"cannot write to {folder}: {reason}; free some space or choose another output_dir"
        ) from error
    return folder
