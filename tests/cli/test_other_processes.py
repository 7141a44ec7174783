"""`leopart train` goes on with another number of processes than the one that has stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.training import read_metrics, recorded_identity
from tests.cli.launched import TRAIN, torchrun
from tests.cli.train_command import (
    LEOPART,
    arguments,
    broken_off_copy,
    error_of_training,
    leopart_train,
    write_images,
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def by_two(images: Path) -> Path:
    """The folder of four steps of two processes, each with two images."""
    folder = images.parent / "two"
    torchrun(TRAIN, arguments(images, folder, *LEOPART), 2, images.parent)
    return folder


@pytest.fixture
def broken_off(by_two: Path, tmp_path: Path) -> Path:
    """The same as it was when two of the four steps were done."""
    return broken_off_copy(by_two, tmp_path / "broken_off")


@pytest.mark.parametrize("given", [("batch_size=4",), ("trainer.accumulate_steps=2",)])
def test_one_process_goes_on_where_two_have_stopped(
    images: Path, by_two: Path, broken_off: Path, given: tuple[str, ...]
):
    leopart_train(images, broken_off, *LEOPART, *given)
    rows, whole = (read_metrics(folder / "metrics.jsonl") for folder in (broken_off, by_two))
    assert [row["step"] for row in rows] == [row["step"] for row in whole] == [1, 2, 3, 4]
    assert rows[:2] == whole[:2]
    learning = [[row["learning_rate/backbone"] for row in found] for found in (rows, whole)]
    assert learning[0] == learning[1]
    assert "step_00000002.pt" in (broken_off / "train.log").read_text()
    if given == ("batch_size=4",):  # the same batch, by whatever number of processes
        assert recorded_identity(broken_off) == recorded_identity(by_two)
        # What the queue stores is drawn at random.
        assert rows[2]["loss"] == pytest.approx(whole[2]["loss"], rel=0.05)


def test_other_images_a_step_are_refused_with_the_batch_size_to_set(images: Path, broken_off: Path):
    before = sorted(broken_off.rglob("*"))
    line = error_of_training(images, broken_off, *LEOPART)
    assert "batch_size=4" in line
    assert "step_00000002.pt" in line
    assert [path for path in before if not path.exists()] == []
    assert not (broken_off / "backbone.safetensors").exists()
