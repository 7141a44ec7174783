"""Several processes of one program, as torchrun starts them and as srun does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from leopart_kit.launch import _PORTS
from tests.cli import forked
from tests.cli.command import REPOSITORY
from tests.training.test_training_resume import environment

TRAIN = REPOSITORY / "tools" / "train.py"
EVALUATE = REPOSITORY / "tools" / "eval_segmentation.py"
TIMEOUT = 1800  # seconds: of a slow machine too


def torchrun(program: Path, words: Sequence[str], count: int, folder: Path) -> str:
    """What `count` processes of a program print, all of which must end well."""
    done = launch_torchrun(program, words, count, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def launch_torchrun(
    program: Path, words: Sequence[str], count: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    """`count` processes of a program until all have ended."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc-per-node={count}", str(program)]
    return subprocess.run(
        [*launcher, *words],
        env=environment(),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=TIMEOUT,
    )


class Task(NamedTuple):
    """A process, and the file that holds what it prints."""

    process: forked.BaseProcess
    printed: Path


def start_srun(
    program: Path, words: Sequence[str], count: int, folder: Path, **variables: str
) -> list[Task]:
    """`count` tasks of a program, with the variables that srun sets on one node."""
    shared = {
        "SLURM_JOB_ID": str(_free_job()),
        "SLURM_JOB_NAME": "test",
        "SLURM_NTASKS": str(count),
        "SLURM_TASKS_PER_NODE": str(count),
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    tasks = []
    for rank in range(count):
        own = {**shared, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
        printed = folder / f"printed_{rank}"
        main = forked.program(program)
        tasks.append(Task(forked.start(main, str(program), words, printed, folder, own), printed))
    return tasks


def ends_of(tasks: Sequence[Task]) -> list[tuple[int | None, str]]:
    """Exit status and messages of every task, once all have ended."""
    for task in tasks:
        task.process.join(TIMEOUT)
    return [(task.process.exitcode, task.printed.read_text()) for task in tasks]


def srun(program: Path, words: Sequence[str], count: int, folder: Path) -> None:
    """Tasks that all must end well."""
    for status, told in ends_of(start_srun(program, words, count, folder)):
        assert status == 0, told[-4000:]


def _free_job() -> int:
    """Number of a job whose port nobody listens at."""
    first, number = _PORTS
    for job in range(os.getpid() % number, number):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", first + job))
            return job
    raise OSError("no free port")
