"""Two processes under torchrun train like one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from leopart_kit.training.engine import build_fabric
from leopart_kit.training.loader import default_num_workers
from tests.cli.launched import srun
from tests.training.test_training_resume import PROGRAM, assert_same, environment, last_state
from tests.training.tiny_training import TinyMethod, losses, run_tiny


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two_processes")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*command, PROGRAM, "two_processes", folder],
        env=environment(),
        check=True,
        timeout=1800,
        capture_output=True,
    )
    return folder


def test_loss_curve_equals_one_process_with_the_whole_batch(two_processes: Path, tmp_path: Path):
    run_tiny(tmp_path, method=TinyMethod(dropout=0.0, queue=False), batch_size=8)
    one, two = losses(tmp_path), losses(two_processes / "plain")
    assert list(one) == list(two) == list(range(1, 13))
    assert list(two.values()) == pytest.approx(list(one.values()), rel=1e-4)
    for key, value in last_state(tmp_path)["state_dict"].items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            other = last_state(two_processes / "plain")["state_dict"][key]
            torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-5)


def test_a_signal_to_one_process_stops_both_after_the_same_step(two_processes: Path):
    stops = [(two_processes / f"stopped_{rank}").read_text() for rank in (0, 1)]
    assert stops == ["5", "5"]


def test_each_process_gets_its_own_state_back(two_processes: Path):
    whole, resumed = (last_state(two_processes / name) for name in ("whole", "resumed"))
    assert_same(resumed, whole)
    queue_of_second = whole["processes"][1]["state_dict"]["queue"]
    assert not torch.equal(whole["state_dict"]["queue"], queue_of_second)
    assert losses(two_processes / "resumed") == losses(two_processes / "whole")


def test_tasks_of_srun_train_as_torchrun_does(two_processes: Path, tmp_path: Path):
    srun(PROGRAM, ["two_processes", str(tmp_path)], 2, tmp_path)
    for run in ("plain", "whole", "resumed"):
        assert_same(last_state(tmp_path / run), last_state(two_processes / run))


def test_precision_is_checked():
    with pytest.raises(ValueError, match="bf16"):
        build_fabric("cpu", "fp8")  # pyright: ignore[reportArgumentType]


def test_default_workers_leave_the_cores_of_a_cpu_run_to_the_compute(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(2)))
    assert (default_num_workers("cpu"), default_num_workers("cuda")) == (0, 2)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)))
    assert (default_num_workers("cpu"), default_num_workers("cuda")) == (2, 8)
    # Two nodes of 16 processes each: those of other nodes take no core here.
    for name, value in {
        "WORLD_SIZE": 32,
        "RANK": 5,
        "LOCAL_RANK": 1,
        "LOCAL_WORLD_SIZE": 16,
    }.items():
        monkeypatch.setenv(name, str(value))
    assert (default_num_workers("cpu"), default_num_workers("cuda")) == (1, 4)
