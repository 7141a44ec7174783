"""Tasks whose failure becomes a line of a table and stops no other task."""

from __future__ import annotations

import logging
from collections.abc import Callable

from leopart_kit.cli.config import USER_ERRORS, describe_error
from leopart_kit.processes import ALONE, Processes
from leopart_kit.training import NonFiniteLoss, TrainingInterrupted

logger = logging.getLogger(__name__)


def reason_of_failure(task: Callable[[], None], processes: Processes = ALONE) -> str | None:
    """Run a task; in one line what went wrong, if it failed.

    Among several processes, a mistake of ours is raised: the others would wait for this one.
    """
    try:
        task()
    except TrainingInterrupted as error:  # a signal: meant for the whole command
        raise KeyboardInterrupt from error
    except (*USER_ERRORS, NonFiniteLoss) as error:
        return describe_error(error)
    except Exception as error:
        if processes.count > 1:
            raise
        logger.exception("failed")
        return f"{type(error).__name__}: {error}"
    return None
