"""A run that was killed and resumed ends exactly where an uninterrupted one does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from leopart_kit.identity import HOW_TRAINED, Identity
from leopart_kit.training.checkpoint import list_checkpoints, read_checkpoint_file
from leopart_kit.training.settings import TrainingSettings
from leopart_kit.training.stopping import TrainingInterrupted
from tests.training.tiny_training import (
    CUT_OFF_RUN,
    SignalAfter,
    TinyMethod,
    Vectors,
    losses,
    run_tiny,
)

PROGRAM = Path(__file__).with_name("tiny_training.py")
REPOSITORY = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def assert_same(one: Any, other: Any, where: str = "checkpoint") -> None:
    """Both hold the same, bit for bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}/{index}")
    else:
        assert one == other, where


def last_state(output_dir: Path) -> dict[str, Any]:
    return read_checkpoint_file(list_checkpoints(output_dir / "checkpoints")[-1])


def signal_at(step: int, number: signal.Signals, process: subprocess.Popen, folder: Path) -> None:
    """Send the signal to the process and all its workers once `step` steps are logged."""
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < step:
        assert process.poll() is None, "the run ended before the signal"
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.002)
    os.killpg(process.pid, number)
    process.wait(timeout=1800)


@pytest.mark.parametrize(
    ("number", "num_workers", "accumulate_steps"),
    [(signal.SIGKILL, 0, 1), (signal.SIGKILL, 2, 2), (signal.SIGTERM, 2, 1)],
)
def test_a_run_cut_off_anywhere_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, number: signal.Signals, num_workers: int, accumulate_steps: int
):
    cut_off, whole = tmp_path / "cut_off", tmp_path / "whole"
    command = [sys.executable, PROGRAM, "cut_off", cut_off, str(num_workers), str(accumulate_steps)]
    process = subprocess.Popen(
        command, env=environment(), start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    step = random.randint(10, 60)
    signal_at(step, number, process, cut_off)
    at = read_checkpoint_file(list_checkpoints(cut_off / "checkpoints")[-1])["step"]
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert at % CUT_OFF_RUN["checkpoint_every"] == 0
    else:  # the workers have it too, and the step is still finished
        assert f"stopped by SIGTERM after step {at}" in process.stderr.read()
    process.stderr.close()
    assert 0 < at < CUT_OFF_RUN["max_steps"]

    settings = {**CUT_OFF_RUN, "accumulate_steps": accumulate_steps}
    run_tiny(cut_off, settings=settings, num_workers=2 - num_workers)
    run_tiny(whole, settings=settings)
    assert_same(last_state(cut_off), last_state(whole))
    assert losses(cut_off) == losses(whole)
    assert list(losses(cut_off)) == list(range(1, CUT_OFF_RUN["max_steps"] + 1))


def test_forgetting_any_kind_of_state_would_show(tmp_path: Path):
    """Dropout, queue and the method's own generator all change the result of this method."""
    _, reference = run_tiny(tmp_path / "all")
    saved = read_checkpoint_file(reference.checkpoint)["state_dict"]
    for name, method in {
        "dropout": TinyMethod(dropout=0.0),
        "queue": TinyMethod(queue=False),
        "generator": TinyMethod(),
    }.items():
        if name == "generator":
            method.generator.manual_seed(8)
        run_tiny(tmp_path / name, method=method)
        assert not torch.equal(
            last_state(tmp_path / name)["state_dict"]["to_code.weight"], saved["to_code.weight"]
        ), name


@pytest.mark.parametrize(
    ("number", "accumulate_steps"), [(signal.SIGTERM, 1), (signal.SIGINT, 2), (signal.SIGUSR1, 1)]
)
def test_a_signal_finishes_the_step_saves_and_tells_how_to_go_on(
    tmp_path: Path, number: signal.Signals, accumulate_steps: int
):
    before = signal.getsignal(number)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    settings = {"accumulate_steps": accumulate_steps}
    with pytest.raises(TrainingInterrupted) as caught:
        run_tiny(stopped, method=SignalAfter(number, at=4), num_workers=1, settings=settings)
    checkpoint = stopped / "checkpoints" / "step_00000005.pt"
    assert str(caught.value) == (
        f"stopped by {number.name} after step 5; start the same command again "
        f"(trainer.resume=auto) to continue from {checkpoint}"
    )
    assert (caught.value.step, caught.value.checkpoint) == (5, checkpoint)
    assert signal.getsignal(number) == before
    run_tiny(stopped, settings=settings)
    run_tiny(whole, settings=settings)
    assert_same(last_state(stopped), last_state(whole))


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path):
    _, first = run_tiny(tmp_path)
    method, again = run_tiny(tmp_path)
    assert (again.steps, again.checkpoint) == (12, first.checkpoint)
    saved = read_checkpoint_file(first.checkpoint)["state_dict"]
    assert_same(dict(method.state_dict()), dict(saved))
    assert len(losses(tmp_path)) == 12


def test_broken_files_are_remembered_over_a_resume(tmp_path: Path):
    vectors = Vectors(broken=(3,))
    settings, stopped = {"max_steps": 20}, SignalAfter(signal.SIGTERM, at=6)
    with pytest.raises(TrainingInterrupted):
        run_tiny(tmp_path, vectors=vectors, method=stopped, settings=settings)
    _, summary = run_tiny(tmp_path, vectors=Vectors(broken=(3, 8)), settings=settings)
    assert summary.broken_samples == ("image_3.jpg is truncated", "image_8.jpg is truncated")


def test_never_refuses_a_folder_with_checkpoints(tmp_path: Path):
    run_tiny(tmp_path, settings={"resume": "never"})
    with pytest.raises(ValueError, match="resume"):
        run_tiny(tmp_path, settings={"resume": "never"})


def test_resume_from_a_named_checkpoint(tmp_path: Path):
    settings = {"checkpoint_every": 5, "keep_checkpoints": 9}
    _, whole = run_tiny(tmp_path / "whole", settings=settings)
    middle = str(tmp_path / "whole" / "checkpoints" / "step_00000005.pt")
    run_tiny(tmp_path / "branch", settings={**settings, "resume": middle})
    own, other = last_state(tmp_path / "branch"), read_checkpoint_file(whole.checkpoint)
    assert_same(own["state_dict"], other["state_dict"])
    assert min(losses(tmp_path / "branch")) == 6
    with pytest.raises(ValueError, match=r"step_00000012\.pt"):
        run_tiny(tmp_path / "whole", settings={**settings, "resume": middle})
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        run_tiny(tmp_path / "new", settings={"resume": str(tmp_path / "nowhere.pt")})


def other(value: Any) -> Any:
    """A value near to another one, still in range."""
    if isinstance(value, str):
        return "never"
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else (value or 0.5) / 2


DEFAULTS = asdict(TrainingSettings(max_steps=12))


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_is_either_refused_or_none_of_the_run(tmp_path: Path, name: str):
    """A finished run included: its weights would stand under settings of others."""
    small = {"max_steps": 12, "momentum": 0.9, "log_every": 1}
    _, summary = run_tiny(tmp_path, settings=small)
    before = summary.checkpoint.read_bytes()
    now = {**small, name: other(small.get(name, DEFAULTS[name]))}
    if name == "scale_learning_rate":  # none by default
        now[name] = 64
    if f"trainer.{name}" in HOW_TRAINED:
        if name not in ("resume", "compile"):  # one refuses itself, one takes a compiler
            run_tiny(tmp_path, settings=now)
        return
    with pytest.raises(ValueError, match=rf"step_00000012\.pt .*trainer\.{name} .*output_dir"):
        run_tiny(tmp_path, settings=now)
    assert summary.checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vectors": Vectors(19)}, "num_images"),
        ({"batch_size": 3}, "batch_size"),
        ({"method": TinyMethod(hidden=5)}, r"to_code\.weight.*\[5, 12\]"),
        ({"identity": Identity.of(method="other")}, "method"),
        ({"identity": Identity.of()}, "method"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], named: str
):
    run_tiny(tmp_path)
    with pytest.raises(ValueError, match=named):
        run_tiny(tmp_path, **changes)
