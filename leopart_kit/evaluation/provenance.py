"""Origin of a result: versions, the commit, memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("leopart-kit", "torch", "torchvision", "timm", "numpy", "scipy", "faiss-cpu")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_sha() -> str | None:
    """The commit of the clone this package runs from (`+changes` where it was edited)."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        sha = _git(root, "rev-parse", "HEAD")
        return f"{sha}+changes" if _git(root, "status", "--porcelain") else sha
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far in MiB, mapped files included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
