"""Where a run writes: the output folder is checked before the work starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from leopart_kit.scratch import remove_leftovers, scratch_file

_MIB = 1 << 20


def writable_output_dir(path: str | os.PathLike[str], needed_bytes: int = _MIB) -> Path:
    """Create the folder if it is missing and make sure that files can be written into it.

    Meant for the start of a run, so that hours of work do not end at a folder that takes nothing.
    Temporary files of an earlier run that was killed are removed.

    Args:
        path: the folder; parents are created too.
        needed_bytes: free space the run is known to need.

    Raises:
        ValueError: the path is a file, may not be written, or its disk is full; names the folder.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers([folder])
        with scratch_file(folder / "write_test") as probe:
            probe.write_bytes(b"\0" * 4096)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"cannot write to {folder}: {reason}; free some space or choose another output_dir"
        ) from error
    if free < needed_bytes:
        raise ValueError(
            f"output folder {folder}: {free / _MIB:.0f} MiB free, about {needed_bytes / _MIB:.0f} "
            "MiB needed; free some space or choose another output_dir"
        )
    return folder
