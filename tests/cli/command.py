"""Run `leopart eval` and other programs in this process, and read what they leave."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from leopart_kit.cli.eval_segmentation import main

REPOSITORY = Path(__file__).parents[2]

TINY = (
    "protocol.resolution=[32,32]",
    "protocol.score_resolution=[16,16]",
    "protocol.seeds=[0,1]",
    "page_images=2",
)
"""Settings of a run that takes a fraction of a second."""


def leopart_eval(*overrides: str) -> None:
    """The command line with these overrides and `TINY`; later ones win."""
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    defaults = [override for override in TINY if override.partition("=")[0] not in given]
    run_command_line(main, "leopart eval", [*defaults, *overrides])


def run_command_line(command: Callable[[], None], name: str, arguments: Sequence[str]) -> None:
    """Call a program's `main` with these arguments."""
    handlers, level = list(logging.root.handlers), logging.root.level
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *arguments])
        try:
            command()
        finally:
            # Hydra replaces the handlers of the root logger, pytest's own among them.
            for handler in logging.root.handlers:
                if handler not in handlers:
                    handler.close()
            logging.root.handlers[:] = handlers
            logging.root.setLevel(level)


def error_of(*overrides: str) -> str:
    """The error line of a run that must fail as a user's mistake: `error: …`, exit code 1."""
    return _error(lambda: leopart_eval(*overrides))


def error_of_command(command: Callable[[], None], name: str, arguments: Sequence[str]) -> str:
    """`error_of` for any program."""
    return _error(lambda: run_command_line(command, name, arguments))


def _error(run: Callable[[], None]) -> str:
    with pytest.raises(SystemExit) as stopped:
        run()
    line = stopped.value.code  # text: printed on standard error, exit code 1
    assert isinstance(line, str), f"exit code {line}"
    assert line.startswith("error: ")
    assert "\n" not in line
    return line
