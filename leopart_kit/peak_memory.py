"""Peak memory of one piece of work in a process that does one after another."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_PROCESS = Path("/proc/self")


def restart_peak() -> None:
    """Let `peak_memory_mb` count from here on, where the system can (Linux)."""
    try:
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")  # resets VmHWM, see proc(5)
    except OSError:
        return  # elsewhere the peak stays that of the whole process


def peak_memory_mb() -> float:
    """Largest resident memory in MiB since `restart_peak`, mapped files included."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", (_PROCESS / "status").read_text(encoding="ascii"))
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
