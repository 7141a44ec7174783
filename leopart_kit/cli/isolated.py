"""Tasks whose failure becomes a line of a table and stops no other task."""

from __future__ import annotations

import logging
from collections.abc import Callable

from leopart_kit.cli.config import USER_ERRORS, describe_error, one_line
from leopart_kit.processes import ALONE, Processes
from leopart_kit.training import NonFiniteLoss, TrainingInterrupted

logger = logging.getLogger(__name__)


def reason_of_failure(task: Callable[[], None], processes: Processes = ALONE) -> str | None:
    """Run a task in all processes; in one line what went wrong, if it failed in any of them."""
    try:
        processes.together(task)
    except TrainingInterrupted as error:  # a signal: meant for the whole command
        raise KeyboardInterrupt from error
    except (*USER_ERRORS, NonFiniteLoss) as error:
        return describe_error(error)
    except Exception as error:
        logger.exception("failed")
        return one_line(f"{type(error).__name__}: {error}")
    return None
