"""Signals that end a command in one line, with its scratch files removed."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from leopart_kit.cli.requeue import requeue_if_asked

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
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
