"""A job of SLURM whose time is nearly up is put back into the queue, to go on where it stopped.

`sbatch --signal=USR1@120 --requeue` sends SIGUSR1 two minutes before the limit. Preempted jobs get
SIGTERM and are requeued by SLURM itself; so do cancelled ones, which nobody wants back.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess

from leopart_kit.launch import read_launch

logger = logging.getLogger(__name__)

SIGNAL = getattr(signal, "SIGUSR1", None)  # not on Windows


def requeue_if_asked(signal_name: str) -> None:
    """Ask SLURM once for another turn of this job, if the signal says that its time is up."""
    job = _job()
    if SIGNAL is None or signal_name != SIGNAL.name or job is None or read_launch().rank != 0:
        return
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=60
        )
        problem = done.stderr.strip() if done.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem is None:
        logger.info("job %s is in the queue again", job)
    else:
        logger.warning("job %s was not requeued (%s): submit it again", job, problem)


def _job() -> str | None:
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID")
