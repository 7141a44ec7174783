"""Identities: what is one, what is another, and which settings count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.identity import HOW_MEASURED, HOW_TRAINED, Identity, determining

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.sampled_from(["a", "b", "c", "d"])
NESTED = st.dictionaries(
    NAMES, st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner) | st.lists(inner))
)


@given(NESTED, NESTED)
def test_equal_values_are_one_identity_and_others_are_named(one: dict, other: dict):
    first, second = Identity.of(**one), Identity.of(**other)
    difference = first.difference(second)
    assert (difference is None) == (first.sha256 == second.sha256)
    assert (difference is None) == (second.difference(first) is None)
    if difference is not None:
        name = difference.partition(" is ")[0]
        assert first.values.get(name, ...) != second.values.get(name, ...) or "1" in difference
    assert Identity.of(**one).difference(first) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), ((1, 2), [1, 2]), (Path("/a/b"), "/a/b"), ({"x": (0.0,)}, {"x": [0]})],
)
def test_one_value_in_two_types_is_one_value(one: Any, other: Any):
    assert Identity.of(value=one).sha256 == Identity.of(value=other).sha256


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, None), ("1", 1), ([1], 1), (1.5, 1)])
def test_values_that_only_compare_equal_are_two(one: Any, other: Any):
    assert Identity.of(value=one).difference(Identity.of(value=other)) is not None


def test_the_first_difference_is_named_with_both_values():
    now = Identity.of(method={"epsilon": 0.1, "queue": 3}, seed=0)
    before = Identity.of(method={"epsilon": 0.05, "queue": 3}, seed=1)
    assert now.difference(before) == "method.epsilon is 0.05 there and 0.1 here"
    assert now.difference(Identity.of(method={"epsilon": 0.1, "queue": 3})) == (
        "seed is null there and 0 here"
    )
    long = Identity.of(text="x" * 1000).difference(Identity.of())
    assert long is not None
    assert len(long) < 200


def test_settings_that_say_how_are_left_out_with_all_below_them(tmp_path: Path):
    settings = {
        "output_dir": "x",
        "evaluation": {"page_images": 3, "protocol": {"name": "linear"}},
        "trainer": {"resume": "auto", "weight_decay": 0.1},
        "page_images": 3,
    }
    assert determining(settings, HOW_TRAINED) == {
        "trainer": {"weight_decay": 0.1},
        "page_images": 3,
    }
    assert determining(settings, HOW_MEASURED) == {
        "evaluation": settings["evaluation"],
        "trainer": settings["trainer"],
    }


def test_a_file_counts_as_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.csv", "same.csv", "val"):
        Path(name).write_text("a")
    Path("other.csv").write_text("b")

    def content(value: object) -> Any:
        return determining({"captions": value}, ())["captions"]

    assert content("one.csv") == content(str(tmp_path / "same.csv")) != content("other.csv")
    assert content("none.csv") == "none.csv"
    assert content("val") == "val", "a split, though there is a file of that name"
    assert content(str(tmp_path)) == str(tmp_path)
    for odd in ("x" * 5000 + "/", "a/\0", 3, None, [np.pi]):
        assert content(odd) == odd
