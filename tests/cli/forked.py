"""Programs in processes of their own that start at once: forked from one that has imported all."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

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
    command: Callable[[], object],
    name: str,
    arguments: Sequence[str],
    output: Path,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Start a program's `main` with these arguments, as the first of a group of processes.

    What it prints goes to the file `output`. It works in `folder`, with these variables.
    """
    place = folder or Path.cwd()
    given = (command, [name, *arguments], output.absolute(), place, dict(variables or {}))
    process = _CONTEXT.Process(target=_run, args=given)
    process.start()
    with suppress(ProcessLookupError, PermissionError):  # done, or set by itself already
        os.setpgid(process.pid or 0, process.pid or 0)
    return process


def program(path: Path) -> Callable[[], object]:
    """A file as `python FILE` runs it."""
    return partial(_run_file, path)


def _run_file(path: Path) -> None:
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name="__main__")


def _run(
    command: Callable[[], object],
    argv: list[str],
    output: Path,
    folder: Path,
    variables: dict[str, str],
) -> None:
    os.setpgid(0, 0)
    opened = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(opened, 1)
    os.dup2(opened, 2)
    os.chdir(folder)
    os.environ.update(variables)
    # Read by Python and by OpenMP when they start, which was before.
    sys.path[:0] = filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))
    if "OMP_NUM_THREADS" in variables:
        torch.set_num_threads(int(variables["OMP_NUM_THREADS"]))
    sys.argv = argv
    command()
