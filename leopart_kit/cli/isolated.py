"""Tasks whose failure becomes a line of a table and stops no other task."""

from __future__ import annotations

import logging
from collections.abc import Callable

from leopart_kit.cli.config import USER_ERRORS, describe_error, one_line
from leopart_kit.cli.signals import is_interruption
from leopart_kit.processes import ALONE, ProcessEnded, Processes
from leopart_kit.training import NonFiniteLoss, TrainingInterrupted

logger = logging.getLogger(__name__)


def reason_of_failure(task: Callable[[], None], processes: Processes = ALONE) -> str | None:
    """Run a task in all processes; in one line what went wrong, if it failed in any of them."""
    try:
        processes.together(task)
    except Exception as error:
        if isinstance(error, ProcessEnded):
            raise
        if isinstance(error, TrainingInterrupted) or is_interruption(error):
            raise KeyboardInterrupt from error  # a signal: meant for the whole command
        if isinstance(error, (*USER_ERRORS, NonFiniteLoss)):
            return describe_error(error)
        logger.exception("failed")
        return one_line(f"{type(error).__name__}: {error}")
    return None
