"""Log lines and progress bars on one terminal."""

from __future__ import annotations

import logging
import sys


class TerminalHandler(logging.StreamHandler):
    """Writes to whatever `sys.stderr` is at the time.

    While a progress bar is drawn, rich puts a stand-in there that prints lines above the bar; a
    handler that had kept the real stream would write across it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.setStream(sys.stderr)
        super().emit(record)
