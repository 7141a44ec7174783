"""A command that is asked to stop: one line, nothing left in the way, and the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from leopart_kit.cli.isolated import reason_of_failure
from leopart_kit.cli.signals import stops_in_one_line
from leopart_kit.whole_file import scratch_folder
from tests.cli import forked
from tests.cli.runs import small_run


def send_to_itself(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)  # cut short


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_block_in_one_line(number: signal.Signals):
    # A run in the background may have been started with some of them ignored.
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)
    try:
        with pytest.raises(SystemExit) as stopped, stops_in_one_line():
            send_to_itself(number)
        assert "run the same command again" in str(stopped.value.code)
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(
    ("variables", "job"),
    [
        ({"SLURM_JOB_ID": "12"}, "12"),
        ({"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "2"}, "12_2"),
        ({"SLURM_JOB_ID": "12", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, None),
        ({}, None),
    ],
)
def test_a_job_whose_time_is_up_is_requeued_once(
    variables: dict[str, str], job: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = tmp_path / "asked"
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\necho $* >> {asked}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="SIGUSR1"), stops_in_one_line():
        send_to_itself(signal.SIGUSR1)
    found = asked.read_text().splitlines() if asked.exists() else []
    assert found == ([f"requeue {job}"] if job else [])
    with pytest.raises(SystemExit, match="SIGTERM"), stops_in_one_line():
        send_to_itself(signal.SIGTERM)  # a cancelled job stays so
    assert (asked.read_text().splitlines() if asked.exists() else []) == found


def test_schedulers_ask_twice_and_errors_after_the_signal_are_its_doing():
    def work() -> None:
        try:
            send_to_itself(signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            raise RuntimeError("a worker is gone")

    with pytest.raises(SystemExit, match="SIGTERM"), stops_in_one_line():
        work()


def test_an_interrupt_that_a_library_turned_into_an_error_stops_all_cells():
    def cell() -> None:
        try:
            send_to_itself(signal.SIGTERM)
        finally:
            raise AttributeError("interrupted in the middle of something")

    with pytest.raises(SystemExit, match="SIGTERM"), stops_in_one_line():
        reason_of_failure(cell)


def test_an_interrupt_while_scratch_is_removed_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    remove, asked = shutil.rmtree, []

    def interrupted(path: Path, **options: Any) -> None:
        if not asked:
            asked.append(path)
            os.kill(os.getpid(), signal.SIGTERM)
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    scratch = scratch_folder(tmp_path / "export")
    with pytest.raises(SystemExit, match="SIGTERM"), stops_in_one_line(), scratch as folder:
        (folder / "records").write_text("half")
    assert asked
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops_in_one_line():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("kind", ["overclustering", "export", "training", "benchmark"])
def test_a_command_that_is_terminated_says_so_and_leaves_no_scratch_file(kind: str, tmp_path: Path):
    command, words, _ = small_run(kind, tmp_path / "data")
    out, printed = tmp_path / "out", tmp_path / "printed"
    process = forked.start(command, kind, [*words, f"output_dir={out}"], printed)
    while process.is_alive() and not (out / ".lock").exists():
        time.sleep(0.001)
    time.sleep(random.Random(kind).uniform(0, 0.3))
    process.terminate()
    process.join()
    if process.exitcode == 0:  # a training that had made its last step ends as it would have
        assert (kind, (out / "report.html").exists()) == ("training", True)
    else:
        assert process.exitcode == 1, printed.read_text()
        assert "stopped by SIGTERM" in printed.read_text().splitlines()[-1]
    assert "Traceback" not in printed.read_text()
    assert list(out.rglob(".*")) == []
