"""Several processes of one program, as torchrun starts them and as srun does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cli.command import REPOSITORY
from tests.training.test_training_resume import environment

TIMEOUT = 240  # seconds


def torchrun(program: str, words: Sequence[str], count: int, folder: Path) -> str:
    """What `count` processes of a program in tools/ print, all of which must end well."""
    done = launch_torchrun(program, words, count, folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def launch_torchrun(
    program: str, words: Sequence[str], count: int, folder: Path
) -> subprocess.CompletedProcess[str]:
    """`count` processes of a program in tools/ until all have ended."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += [f"--nproc-per-node={count}", str(REPOSITORY / "tools" / f"{program}.py")]
    return subprocess.run(
        [*launcher, *words],
        env=environment(),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=TIMEOUT,
    )
