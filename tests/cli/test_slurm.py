"""Tasks of SLURM, by their variables: they train, evaluate and go on as torchrun does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from leopart_kit.report import read_results
from leopart_kit.training import list_checkpoints, read_metrics
from tests.cli.command import leopart_eval
from tests.cli.launched import EVALUATE, TRAIN, ends_of, srun, start_srun, torchrun
from tests.cli.test_shared_evaluation import SMALL
from tests.cli.train_command import LEOPART, arguments
from tests.evaluation.tiny_data import write_folder

STEPS = 40
LONG = (
    *LEOPART,
    f"trainer.max_steps={STEPS}",
    "trainer.evaluate_every=20",
    "batch_size=1",
    "dataset@evaluation.dataset=folder",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_folder(folder, 7)
    return folder


def words(data: Path, output_dir: Path) -> list[str]:
    return arguments(data / "images", output_dir, *LONG, f"evaluation.dataset.root={data}")


def by_torchrun(data: Path, count: int) -> Path:
    folder = data.parent / f"torchrun_{count}"
    torchrun(TRAIN, words(data, folder), count, data.parent)
    return folder


def wait_for_a_checkpoint(folder: Path) -> None:
    until = time.monotonic() + 120
    while not list_checkpoints(folder / "checkpoints"):
        assert time.monotonic() < until
        time.sleep(0.002)


def assert_same_training(folder: Path, other: Path) -> None:
    weights = [(one / "backbone.safetensors").read_bytes() for one in (folder, other)]
    assert weights[0] == weights[1]
    rows = [read_metrics(one / "metrics.jsonl") for one in (folder, other)]
    for row in (row for one in rows for row in one):
        for cost in ("images_per_second", "peak_memory_mb"):
            row.pop(cost, None)
    assert rows[0] == rows[1]
    for name in ("before", "after"):
        found = [read_results(one / "evaluation" / name)["metrics"] for one in (folder, other)]
        assert found[0] == found[1]


def test_a_task_that_is_killed_ends_all_and_the_next_turn_goes_on(data: Path, tmp_path: Path):
    tasks = start_srun(TRAIN, words(data, tmp_path / "out"), 3, tmp_path)
    wait_for_a_checkpoint(tmp_path / "out")
    tasks[-1].process.kill()
    *others, killed = ends_of(tasks)
    assert killed[0] == -signal.SIGKILL
    for status, told in others:
        assert status == 1
        assert "error: another process has ended" in told
        assert "Traceback" not in told
    assert not (tmp_path / "out" / "backbone.safetensors").exists()
    srun(TRAIN, words(data, tmp_path / "out"), 3, tmp_path)
    # Of three numbers the order counts in which they are added, which a restart changes.
    whole = read_metrics(by_torchrun(data, 3) / "metrics.jsonl")
    rows = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [row["step"] for row in whole]
    losses = [[row["loss"] for row in found if "loss" in row] for found in (rows, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_tasks_whose_time_is_up_save_and_go_back_into_the_queue_once(data: Path, tmp_path: Path):
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $* >> {asked}\n")
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    tasks = start_srun(TRAIN, words(data, tmp_path / "out"), 2, tmp_path, PATH=path)
    wait_for_a_checkpoint(tmp_path / "out")
    for task in tasks:
        os.kill(task.process.pid or 0, signal.SIGUSR1)
    for status, told in ends_of(tasks):
        assert status == 1
        assert "stopped by SIGUSR1" in told
    assert len(asked.read_text().splitlines()) == 1
    srun(TRAIN, words(data, tmp_path / "out"), 2, tmp_path)
    assert_same_training(tmp_path / "out", by_torchrun(data, 2))


@pytest.mark.parametrize("count", [2, 3])
def test_tasks_evaluate_as_one(data: Path, tmp_path: Path, count: int):
    given = (
        "dataset=folder",
        f"dataset.root={data}",
        "encoder=handcrafted",
        *SMALL,
        "batch_size=1",
    )
    srun(EVALUATE, [*given, f"output_dir={tmp_path / 'tasks'}"], count, tmp_path)
    leopart_eval(*given, f"output_dir={tmp_path / 'one'}")
    several, one = (read_results(tmp_path / name) for name in ("tasks", "one"))
    assert several["metrics"] == one["metrics"]
    assert several["matching"] == one["matching"]
