"""Signals that end a command in one line, with its scratch files removed.

A job of SLURM whose time is nearly up is put back into the queue, to go on where it stopped:
`sbatch --signal=USR1@120 --requeue` sends SIGUSR1 two minutes before the limit. Preempted jobs get
SIGTERM and are requeued by SLURM itself; so do cancelled ones, which nobody wants back.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from leopart_kit.launch import read_launch
from leopart_kit.whole_file import remove_own_scratch

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


# Of schedulers and `kill`; of a terminal that closes; of SLURM before a job's time is up.
_NAMES = ("SIGTERM", "SIGHUP", "SIGUSR1")
_ASKING = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


def is_interruption(error: BaseException | None) -> bool:
    """True for an interrupt, and for an error that was raised while one was on its way up.

    Libraries that are interrupted while they tidy up may fail with errors of their own.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def stops_in_one_line() -> Iterator[None]:
    """Inside, these signals interrupt like Ctrl-C, and each of them ends in `SystemExit`.

    A job of SLURM whose time is nearly up goes back into the queue first.

    Signals that are ignored, as under `nohup`, or handled by someone else stay so. Outside the main
    thread, where Python allows no handlers, only Ctrl-C is answered.
    """
    asked: list[str] = []
    handled: list[signal.Signals] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in handled:  # schedulers ask more than once; the first time is being answered
            signal.signal(other, signal.SIG_IGN)
        asked.append(signal.Signals(number).name)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        handled += [n for n in _ASKING if signal.getsignal(n) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    except BaseException as error:
        # Where a worker was asked too, its end may be told before the signal.
        if not asked and not is_interruption(error):
            raise
        if asked:
            requeue_if_asked(asked[0])
        reason = f"stopped by {asked[0]}" if asked else "interrupted"
        sys.exit(f"{reason}; run the same command again to go on")
    finally:
        remove_own_scratch()
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
