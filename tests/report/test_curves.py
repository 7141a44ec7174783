from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.report.curves import (
    Chart,
    Series,
    chart_view,
    different,
    nice_ticks,
    read_series,
    running_mean,
    thinned,
)


def drawn(path: str) -> list[tuple[float, float]]:
    pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)
    return [(float(x), float(y)) for x, y in pairs]


def test_a_line_runs_from_corner_to_corner():
    view = chart_view(Chart("Rate", "rate", (Series("a", ((0, 0), (50, 4), (100, 1))),)))
    assert drawn(view.lines[0].path) == [
        (view.left, view.bottom),
        ((view.left + view.right) / 2, view.top),
        (view.right, view.bottom - (view.bottom - view.top) / 4),
    ]
    assert [tick.text for tick in view.values] == ["0", "1", "2", "3", "4"]
    assert [tick.text for tick in view.steps] == ["0", "25", "50", "75", "100"]
    assert view.summary == "0 → 1"
    assert view.names == ()


def test_the_reference_lies_among_the_values():
    series = (Series("loss", ((1, 5.0), (2, 4.0))),)
    view = chart_view(Chart("Loss", "nats", series, ("ln K", 6.0), from_zero=True))
    assert view.reference is not None
    assert view.reference.text == "ln K"
    assert [tick.text for tick in view.values] == ["0", "2", "4", "6"]
    assert view.reference.at == view.values[-1].at == view.top


def test_two_lines_are_named_in_the_summary():
    pair = (Series("one", ((0, 1e-5), (9, 0))), Series("two", ((0, 2500.0), (9, 2500.0))))
    view = chart_view(Chart("x", "y", pair))
    assert view.summary == "one 1e-5 → 0; two 2,500"
    assert view.names == ("one", "two")
    assert [line.number for line in view.lines] == [1, 2]


def test_noisy_values_get_a_mean_line_once_there_are_many():
    def lines(count: int) -> list[bool]:
        points = tuple((float(i), float(i % 2)) for i in range(count))
        view = chart_view(Chart("x", "y", (Series("a", points),), noisy=True))
        return [line.faint for line in view.lines]

    assert lines(29) == [False]
    assert lines(30) == [True, False]


def test_one_value_or_a_flat_line_still_has_an_axis():
    for points in (((3.0, 7.0),), ((0.0, 0.0), (5.0, 0.0))):
        view = chart_view(Chart("x", "y", (Series("a", points),)))
        assert len(view.values) > 1
        assert all(view.top <= y <= view.bottom for _, y in drawn(view.lines[0].path))


def test_running_mean_by_hand():
    points = tuple((float(i), float(v)) for i, v in enumerate([3, 0, 6, 9]))
    assert running_mean(points) == ((0, 3), (1, 3), (2, 5), (3, 9))


def test_thinning_keeps_ends_and_means():
    points = tuple((float(i), float(i)) for i in range(101))
    thin = thinned(points, 5)
    assert thin == ((0, 0), (17, 17), (50, 50), (83, 83), (100, 100))
    assert thinned(points, 101) is points


def test_values_that_were_not_finite_are_left_out():
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}, {"step": 3, "other": 1.0}]
    assert read_series(rows, "loss", "a") == Series("a", ((1.0, 2.0),))


def test_equal_and_empty_series_are_drawn_once():
    first, same, other = Series("a", ((1, 2),)), Series("b", ((1, 2),)), Series("c", ((1, 3),))
    assert different([first, Series("none", ()), same, other]) == (first, other)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_ticks_enclose_the_range_evenly(low: float, width: float):
    high = low + width
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0]
    assert 2 <= len(ticks) <= 7
    assert low - step < ticks[0] <= low + step * 1e-6
    assert high - step * 1e-6 <= ticks[-1] < high + step
    assert all(b - a == pytest.approx(step) for a, b in pairwise(ticks))


def test_bad_ranges_and_empty_charts_are_errors():
    with pytest.raises(ValueError, match="got 2 and 2"):
        nice_ticks(2, 2)
    with pytest.raises(ValueError, match="'Loss'"):
        chart_view(Chart("Loss", "nats", (Series("a", ()),)))
