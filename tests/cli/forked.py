"""Programs in processes of their own that start at once: forked from one that has imported all."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [f"leopart_kit.cli.{name}" for name in ("benchmark", "eval_segmentation", "export_masks")]
    + ["leopart_kit.cli.train", "hydra._internal.utils", "timm", "faiss"]
)


def prepare() -> None:
    """Wait for the imports, which the first process of all would wait for."""
    process = _CONTEXT.Process(target=os.getpid)
    process.start()
    process.join()


def start(
    command: Callable[[], None], name: str, arguments: Sequence[str], output: Path
) -> BaseProcess:
    """Start a program's `main` with these arguments, as the first of a group of processes.

    What it prints goes to the file `output`.
    """
    process = _CONTEXT.Process(target=_run, args=(command, [name, *arguments], output))
    process.start()
    with suppress(ProcessLookupError, PermissionError):  # done, or set by itself already
        os.setpgid(process.pid or 0, process.pid or 0)
    return process


def _run(command: Callable[[], None], argv: list[str], output: Path) -> None:
    os.setpgid(0, 0)
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    sys.argv = argv
    command()
