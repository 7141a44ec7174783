"""Killed at any moment and started again, a command leaves what one that was never killed leaves.

`pytest --kills=25 tests/cli/test_kills.py` kills each kind of command so often.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli import forked
from tests.cli.runs import KINDS, Run, small_run
from tests.figures.differences import differences
from tests.figures.record import record


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_command_comes_to_the_same_end(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    run, whole = small_run(kind, tmp_path / "data"), tmp_path / "whole" / "out"
    forked.prepare()
    begin = time.monotonic()
    finish(run, whole)
    seconds = time.monotonic() - begin
    expected, beside = record(whole), kept(tmp_path / "data")
    assert expected
    moments = random.Random(kind)
    for number in range(int(str(request.config.getoption("kills")))):
        cut_off = tmp_path / f"{number:05}" / "out"  # as long a name as the other: files hold it
        for file in (tmp_path / "data").glob(run.kept or "-"):
            file.unlink()
        moment = moments.uniform(0, seconds)
        process = start(run, cut_off)
        until = time.monotonic() + moment
        while time.monotonic() < until:
            if run.kept and number % 3 == 0 and any((tmp_path / "data").glob(run.kept)):
                break  # while it makes the next one
            time.sleep(0.001)
        assert process.pid is not None
        with suppress(ProcessLookupError):  # it is done
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that read for it
        process.join()
        finish(run, cut_off)
        when = f"killed after {moment:.2f} of {seconds:.2f} s"
        assert list(differences(expected, record(cut_off))) == [], when
        assert names(cut_off) == names(whole), when
        assert kept(tmp_path / "data") == beside, when


def start(run: Run, folder: Path) -> forked.BaseProcess:
    """A process that has a group of its own by now."""
    folder.parent.mkdir(exist_ok=True)
    words = [*run.words, f"output_dir={folder}"]
    return forked.start(run.command, "leopart", words, folder.with_suffix(".printed"))


def finish(run: Run, folder: Path) -> None:
    process = start(run, folder)
    process.join()
    assert process.exitcode == 0, folder.with_suffix(".printed").read_text()


def kept(folder: Path) -> list[str]:
    """The data and what is kept beside it; passing files are for the next to remove."""
    return [name for name in names(folder) if not name.endswith(".tmp")]


def names(folder: Path) -> list[str]:
    """Everything that lies below a folder, cached features and checkpoints too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
