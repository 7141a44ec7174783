"""Log lines: beside progress bars on one terminal, and in a file whatever they name."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper


class TerminalHandler(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at the time.

    While a progress bar is drawn, rich puts a stand-in there that prints lines above the bar; a
    handler that had kept the real stream would write across it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.setStream(sys.stderr)
        super().emit(record)


def take_any_name() -> None:
    """Let log files hold names of files that are not UTF-8, with their bytes escaped."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and isinstance(handler.stream, TextIOWrapper):
            handler.stream.reconfigure(encoding="utf-8", errors="backslashreplace")
