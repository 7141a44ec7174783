"""How long `leopart compare` trains: recipes shortened, runs made again, runs ended in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.backbones import load_encoder
from leopart_kit.cli import timed_training
from tests.image_level.cli.compare_command import ONE, SMALL, compare, instead, rows


class Clock:
    """Every look at it is a second later, or what `tick` says."""

    def __init__(self) -> None:
        self.now, self.tick = 0.0, 1.0

    def perf_counter(self) -> float:
        self.now += self.tick
        return self.now


def test_a_recipe_is_shortened_to_what_fits_the_time(
    comparison: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(timed_training, "time", Clock())
    longer = SMALL.replace("max_steps=3", "max_steps=1000")
    many = f'training="{longer.replace("warmup_steps=0", "warmup_steps=30")}"'
    # A second a step: of ten, 95 % are planned with. A warm-up of 30 would not fit into 9.
    compare(*instead(comparison, ONE, many), f"minutes={10 / 60}")
    row = rows(tmp_path)["rotnet"]
    assert (row["steps"], row["planned_steps"], row["recipe_steps"]) == ([9], [9], [1000])
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "9 of 1000" in text
    lines = (tmp_path / "out" / "rotnet" / "seed_0" / "metrics.jsonl").read_text().splitlines()
    assert '"step": 9,' in lines[-1]


def test_a_small_set_has_a_pilot_of_more_than_one_pass(
    comparison: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(timed_training, "time", Clock())
    original = timed_training._run
    steps = []

    def noted(config, dataset, settings, fabric, watch, *rest):
        encoder = original(config, dataset, settings, fabric, watch, *rest)
        steps.append(watch.steps)
        return encoder

    monkeypatch.setattr(timed_training, "_run", noted)
    more = f'training="{SMALL.replace("max_steps=3", "max_steps=25")}"'
    compare(*instead(comparison, ONE, more), "minutes=10")
    assert steps == [20, 25]
    assert rows(tmp_path)["rotnet"]["planned_steps"] == [25]


def test_a_run_that_turns_out_slower_stops_in_time(
    comparison: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock()
    monkeypatch.setattr(timed_training, "time", clock)
    original = timed_training._run

    def slower_after_the_pilot(*arguments):
        encoder = original(*arguments)
        clock.tick = 2.0
        return encoder

    monkeypatch.setattr(timed_training, "_run", slower_after_the_pilot)
    compare(*instead(comparison, ONE), f"minutes={5 / 60}")
    row = rows(tmp_path)["rotnet"]
    assert (row["steps"], row["planned_steps"], row["seconds"]) == ([2], [3], [4.0])
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "2 (3) of 3" in text
    trained = load_encoder("test_vit", tmp_path / "out/rotnet/seed_0/backbone.safetensors")
    assert trained.fingerprint() != load_encoder("test_vit", "random").fingerprint()


@pytest.mark.parametrize(("seconds_of_pilot", "first_plan"), [(5.0, 3), (1.4, 13)])
def test_a_run_that_leaves_much_of_its_time_is_made_again_with_more_steps(
    comparison: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds_of_pilot: float,
    first_plan: int,
):
    clock = Clock()
    clock.tick = seconds_of_pilot  # a step of it, as if it labelled the whole set
    monkeypatch.setattr(timed_training, "time", clock)
    original = timed_training._run
    steps = []

    def faster_after_the_pilot(config, dataset, settings, fabric, watch, *rest):
        encoder = original(config, dataset, settings, fabric, watch, *rest)
        steps.append(watch.steps)
        clock.tick = 1.0
        return encoder

    monkeypatch.setattr(timed_training, "_run", faster_after_the_pilot)
    many = f'training="{SMALL.replace("max_steps=3", "max_steps=1000")}"'
    compare(*instead(comparison, ONE, many), f"minutes={20 / 60}")
    assert steps == [1, first_plan, 19]
    assert rows(tmp_path)["rotnet"]["planned_steps"] == [19]
