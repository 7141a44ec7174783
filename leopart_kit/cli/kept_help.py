"""Pages of help, kept on disk once they were made: making one imports torch."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from leopart_kit.parts import PACKAGE, config_folder
from leopart_kit.whole_file import write_whole_text


def kept_help(module: str, words: Sequence[str]) -> str:
    """The page of a command, as `--help` with these words gives it.

    A page is kept for as long as no file of the package changes. Those about parts of the user's
    are made each time.
    """
    own = any("custom" in word or "--config" in word for word in words)
    file = _place() / f"{_state(module, words)}.txt"
    if not own:
        with suppress(OSError, UnicodeError):
            return file.read_text(encoding="utf-8")
    page = _made(module, words)
    with suppress(OSError):
        if not own:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole_text(file, page)
    return page


def _made(module: str, words: Sequence[str]) -> str:
    from leopart_kit.cli.config import command_help  # Hydra takes a while to import

    importlib.import_module(module)
    chosen = [word for word in words if not word.startswith("-")]
    return command_help(module.rpartition(".")[2], chosen)


def _place() -> Path:
    """`$XDG_CACHE_HOME/leopart_kit/help`."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "leopart_kit" / "help"


def _state(module: str, words: Sequence[str]) -> str:
    """Changes with whatever a page is made of."""
    files = [*PACKAGE.rglob("*.py"), *config_folder("configs").rglob("*.yaml")]
    files += config_folder("eval").rglob("*.yaml")
    said = [sys.version, module, *words]
    for file in sorted(files):
        stat = file.stat()
        said.append(f"{file} {stat.st_mtime_ns} {stat.st_size}")
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
