from __future__ import annotations

from itertools import product

import pytest

from leopart_kit.evaluation.result import LabelsUsed, Summary
from leopart_kit.report import wording

NAN = float("nan")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s")],
)
def test_duration(seconds: float, text: str):
    assert wording.duration(seconds) == text


def test_hours():
    assert wording.duration(3599.6) == "1 h 00 min"
    assert wording.duration(3725) == "1 h 02 min"


def test_rates():
    assert wording.rate_and_spread(Summary(41.66, 0.25, (41.4, 41.9), (40, 43))) == "41.7 ± 0.2"
    assert wording.rate_and_spread(Summary(41.66, 0.0, (41.66,), (40, 43))) == "41.7"
    assert wording.rate_and_spread(Summary(NAN, NAN, (NAN, NAN), (NAN, NAN))) == "–"
    assert wording.interval((40.04, 43.06)) == "40.0 – 43.1"
    assert wording.interval((NAN, 43.0)) == "–"


def test_small_shares_do_not_read_as_nothing():
    assert wording.share(0.0) == "0.0 %"
    assert wording.share(0.01) == "< 0.1 %"
    assert wording.share(12.34) == "12.3 %"


@pytest.mark.parametrize("used", [*product([False, True], repeat=3)])
def test_labels_used(used: tuple[bool, bool, bool]):
    steps = ("to train", "to choose settings", "to name the clusters")
    said, _, denied = wording.labels_used(LabelsUsed(*used)).partition("but not")
    assert [step in said for step in steps] == [*used]
    if any(used):
        assert [step in denied for step in steps] == [not one for one in used]


def test_settings_are_flattened_in_order():
    settings = {"b": {"y": None, "x": [1, 2.5]}, "a": True, "runs": [{"s": 1}, {"s": 2}], "e": {}}
    assert wording.flatten(settings) == [
        ("b.y", "none"),
        ("b.x", "1, 2.5"),
        ("a", "yes"),
        ("runs.s", "1, 2"),
        ("e", "{}"),
    ]


def test_signs():
    assert [wording.signed(v) for v in (3.44, -0.16, 0.04, -0.04)] == ["+3.4", "−0.2", "0.0", "0.0"]
    assert wording.signed(float("nan")) == "–"
