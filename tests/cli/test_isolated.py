"""Failures as one line, whatever was raised."""

from __future__ import annotations

from functools import partial

import pytest

from leopart_kit.cli.isolated import reason_of_failure
from leopart_kit.processes import Processes
from tests.two_processes import run_in_processes


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("CUDA error: lost\n  For debugging:\n\tset X"),
         "RuntimeError: CUDA error: lost For debugging: set X"),
        (ValueError("one\ntwo"), "one two"),
        (OSError(5, "Input\noutput", "a\nfile"), "Input output: a file"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line(error: Exception, line: str):
    def task() -> None:
        raise error

    assert reason_of_failure(task) == line


def _measure_three(rank: int, failing: int) -> list[str | None]:
    """What each of two processes says of three cells; the second fails in one of them alone."""
    processes = Processes(rank, 2)

    def cell(number: int) -> None:
        processes.once(lambda: "is it done?")
        if number == 1 and rank == failing:
            raise RuntimeError("no memory left")
        processes.gather(number)

    return [reason_of_failure(partial(cell, number), processes) for number in range(3)]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_cell_that_fails_in_one_process_fails_in_all_and_the_next_goes_on(failing: int):
    for said in run_in_processes(_measure_three, 2, failing):
        assert said == [None, "RuntimeError: no memory left", None]
