"""Log lines: beside progress bars on one terminal, and in a file whatever they name."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from functools import partial
from io import TextIOWrapper

logger = logging.getLogger(__name__)


class TerminalHandler(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at the time.

    While a progress bar is drawn, rich puts a stand-in there that prints lines above the bar; a
    handler that had kept the real stream would write across it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.setStream(sys.stderr)
        super().emit(record)


def prepare_log_files() -> None:
    """Let log files hold names of files that are not UTF-8, with their bytes escaped.

    A log that cannot be written, as on a full disk, is given up with a line: it ends no run.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and isinstance(handler.stream, TextIOWrapper):
            handler.stream.reconfigure(encoding="utf-8", errors="backslashreplace")
            handler.handleError = partial(_give_up, handler)


def _give_up(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    logging.getLogger().removeHandler(handler)
    with suppress(OSError):  # what was not written yet cannot be written now
        handler.close()
    logger.warning("%s goes on no more: %s", handler.baseFilename, sys.exc_info()[1])
