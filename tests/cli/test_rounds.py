"""Trainings in rounds: each starts from the network of the one before."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from leopart_kit.cli import rounds
from leopart_kit.report import read_results
from tests.cli.launched import TRAIN, srun
from tests.cli.train_command import (
    LEOPART,
    arguments,
    error_of_training,
    leopart_train,
    write_images,
)


def backbone(folder: Path) -> dict:
    return {
        name: value.tolist() for name, value in load_file(folder / "backbone.safetensors").items()
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("rounds") / "images")


@pytest.fixture(scope="module")
def by_hand(images: Path) -> Path:
    """Two trainings, the second from the first one's backbone."""
    folder = images.parent / "by hand"
    leopart_train(images, folder / "1", *LEOPART)
    start = f"encoder.weights='{folder / '1' / 'backbone.safetensors'}'"
    leopart_train(images, folder / "2", *LEOPART, start, "method.temperature=0.2")
    return folder


CHANGED = 'rounds=["","method.temperature=0.2"]'


def test_rounds_are_trainings_one_after_the_other(images: Path, by_hand: Path, tmp_path: Path):
    leopart_train(images, tmp_path, *LEOPART, CHANGED)
    assert backbone(tmp_path / "rounds" / "1") == backbone(by_hand / "1")
    assert backbone(tmp_path) == backbone(by_hand / "2")
    before, after = (read_results(tmp_path / "evaluation" / name) for name in ("before", "after"))
    assert before["encoder"]["weights"] == "random"  # the start of all rounds, not of the last
    assert before["encoder"]["sha256"] != after["encoder"]["sha256"]
    page = (tmp_path / "report.html").read_text()
    assert "rounds=" in page
    assert page.count("Loss in nats over the steps") == 2
    assert after["settings"]["rounds"] == ["", "method.temperature=0.2"]


def test_rounds_that_have_ended_are_not_made_again(
    images: Path, by_hand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = []
    monkeypatch.setattr(rounds, "run_training", lambda *_: made.append("last"))
    leopart_train(images, tmp_path, *LEOPART, CHANGED)  # broken off before the last round
    monkeypatch.setattr(rounds, "run_early_round", lambda *_: made.append("early"))
    leopart_train(images, tmp_path, *LEOPART, CHANGED)
    assert made == ["last", "last"]
    assert "rounds" in error_of_training(images, tmp_path, *LEOPART, CHANGED, "trainer.max_steps=3")


@pytest.fixture(scope="module")
def three(images: Path) -> Path:
    folder = images.parent / "three"
    leopart_train(images, folder, *LEOPART, "rounds=3")
    return folder


def test_a_count_is_so_many_equal_rounds(by_hand: Path, three: Path):
    first, second, last = (backbone(three / name) for name in ("rounds/1", "rounds/2", ""))
    assert first == backbone(by_hand / "1")
    assert first != second
    assert second != last


def test_a_round_may_choose_another_method(images: Path, by_hand: Path, tmp_path: Path):
    leopart_train(images, tmp_path, *LEOPART, 'rounds=["","method=paka method.head=false"]')
    assert backbone(tmp_path / "rounds" / "1") == backbone(by_hand / "1")
    assert read_results(tmp_path / "evaluation/after")["settings"]["method"]["name"] == "paka"
    assert "trained by leopart, then paka" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *(("0", "rounds"), ("[]", "rounds"), ("-1", "rounds")),
        *(('["rounds=2"]', "rounds"), ('["","encoder=dino_vits16"]', "rounds")),
        ('["method.temprature=1"]', "temprature"),
        *(("[3]", "rounds[0]"), ("""["","a='b"]""", "rounds[1]")),
    ],
)
def test_what_is_no_round_is_refused(images: Path, tmp_path: Path, value: str, says: str):
    assert says in error_of_training(images, tmp_path, f"rounds={value}")
    assert not list(tmp_path.glob("**/checkpoints"))


@pytest.mark.parametrize("round_", [0, 1, 2])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("trainer.warmup_steps=10", "warmup_steps"),
        ("dataset.root=/no/such/folder", "/no/such/folder"),
        ("views.global_size=65", "views.global_size"),
        ("method.trained_blocks=99", "trained_blocks"),
        ("method=neco method.queue_length=3", "queue_length"),
        ("method=anchored_leopart views.local_size=31", "views.local_size"),
        ("logger=nothing", "nothing"),
        ("trainer.momentum=1 trainer.final_momentum=1 method=ibot", "trainer.momentum"),
        ("batch_size=0", "batch_size"),
    ],
)
def test_a_mistake_of_any_round_is_found_before_the_first_trains(
    images: Path, tmp_path: Path, round_: int, words: str, says: str
):
    changes = ['""'] * 3
    changes[round_] = f'"{words}"'
    asked = f"rounds=[{','.join(changes)}]"
    assert says in error_of_training(images, tmp_path, *LEOPART, asked)
    assert not list(tmp_path.glob("**/metrics.jsonl"))


@pytest.mark.parametrize(
    "words",
    ["reproduce.benchmarks=[voc_k5000]", "dataset@evaluation.dataset=folder,/no/such/folder"],
)
def test_what_the_last_round_is_measured_on_is_checked_first(
    images: Path, tmp_path: Path, words: str
):
    word, _, root = words.partition(",")
    more = [f"evaluation.dataset.root={root}"] if root else []
    error = error_of_training(images, tmp_path, *LEOPART, "rounds=2", word, *more)
    assert (root or "voc_k5000") in error
    assert not list(tmp_path.glob("**/metrics.jsonl"))


@pytest.mark.parametrize("asked", [1, 2, 4])
def test_another_number_of_rounds_is_named(images: Path, three: Path, asked: int):
    before = sorted(three.rglob("*"))
    error = error_of_training(images, three, *LEOPART, f"rounds={asked}")
    assert error.startswith("error: rounds: ")
    assert sorted(three.rglob("*")) == before


def test_more_rounds_than_were_begun_are_the_same_training_so_far(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rounds, "run_training", lambda *_: None)
    leopart_train(images, tmp_path, *LEOPART, "rounds=2")  # broken off before the last round
    leopart_train(images, tmp_path, *LEOPART, "rounds=3")
    assert (tmp_path / "rounds" / "2" / "identity.json").is_file()


def test_rounds_by_two_processes_are_not_made_again(images: Path, tmp_path: Path):
    words = arguments(images, tmp_path, *LEOPART, "rounds=2", "num_workers=0")
    times = []
    for _ in range(2):
        srun(TRAIN, words, 2, tmp_path)
        times.append((tmp_path / "rounds" / "1" / "backbone.safetensors").stat().st_mtime_ns)
    assert times[0] == times[1]
