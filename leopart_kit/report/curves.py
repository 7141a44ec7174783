"""Curves of a run as small charts: where the lines, ticks and labels of an inline SVG lie."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Points = tuple[tuple[float, float], ...]

WIDTH, HEIGHT = 340, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 332, 24, 158
_MAX_POINTS = 240  # drawn; more are averaged in bins
_MIN_NOISY = 30  # points from which a noisy curve gets a mean line


@dataclass(frozen=True)
class Series:
    """One line: `(step, value)` in the order of the steps."""

    name: str
    points: Points


@dataclass(frozen=True)
class Chart:
    """Content of a chart.

    Attributes:
        title: what is drawn.
        unit: of the values, written at their axis.
        series: at least one, each with at least one point.
        reference: name and value of a line across, such as `("ln K", 5.7)`.
        from_zero: whether the axis starts at 0.
        noisy: whether a running mean is drawn over the values.
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    reference: tuple[str, float] | None = None
    from_zero: bool = False
    noisy: bool = False


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it lies in the drawing, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line of a chart as an SVG path; `faint` where a mean is drawn over it."""

    name: str
    number: int  # of its series, from 1
    path: str
    faint: bool


@dataclass(frozen=True)
class ChartView:
    """A chart laid out in a drawing of `WIDTH` × `HEIGHT` units."""

    title: str
    unit: str
    summary: str  # each series' first and last value
    lines: tuple[Line, ...]
    names: tuple[str, ...]
    steps: tuple[Tick, ...]
    values: tuple[Tick, ...]
    reference: Tick | None
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: float = WIDTH
    height: float = HEIGHT


def read_series(rows: Sequence[Mapping[str, Any]], key: str, name: str) -> Series:
    """The values logged under `key`; those that were not finite (null) are left out."""
    found = [(float(row["step"]), row.get(key)) for row in rows]
    return Series(name, tuple((step, float(v)) for step, v in found if v is not None))


def different(series: Sequence[Series]) -> tuple[Series, ...]:
    """The series without empty ones and without those whose points an earlier one has."""
    kept: dict[Points, Series] = {}
    for one in series:
        if one.points:
            kept.setdefault(one.points, one)
    return tuple(kept.values())


def chart_view(chart: Chart) -> ChartView:
    """Lay the chart out.

    Raises:
        ValueError: no series, or one without points.
    """
    if not chart.series or not all(series.points for series in chart.series):
        raise ValueError(f"chart {chart.title!r} has nothing to draw")
    steps = [step for series in chart.series for step, _ in series.points]
    values = [value for series in chart.series for _, value in series.points]
    values += [chart.reference[1]] if chart.reference else []
    values += [0.0] if chart.from_zero else []
    x_range = _padded(0.0, max(steps))
    value_ticks = nice_ticks(*_padded(min(values), max(values)))
    y_range = min(value_ticks[0], *values), max(value_ticks[-1], *values)

    def x(step: float) -> float:
        return _LEFT + (step - x_range[0]) / (x_range[1] - x_range[0]) * (_RIGHT - _LEFT)

    def y(value: float) -> float:
        return _BOTTOM - (value - y_range[0]) / (y_range[1] - y_range[0]) * (_BOTTOM - _TOP)

    def path(points: Points) -> str:
        return "M" + "L".join(f"{x(step):.1f} {y(value):.1f}" for step, value in points)

    lines = []
    for number, series in enumerate(chart.series, start=1):
        noisy = chart.noisy and len(series.points) >= _MIN_NOISY
        lines.append(Line(series.name, number, path(thinned(series.points)), faint=noisy))
        if noisy:
            mean = path(thinned(running_mean(series.points)))
            lines.append(Line(series.name, number, mean, faint=False))
    step_ticks = [tick for tick in nice_ticks(*x_range) if x_range[0] <= tick <= x_range[1]]
    return ChartView(
        title=chart.title,
        unit=chart.unit,
        summary="; ".join(_summary(s, len(chart.series) > 1) for s in chart.series),
        lines=tuple(lines),
        names=tuple(s.name for s in chart.series) if len(chart.series) > 1 else (),
        steps=tuple(Tick(x(tick), _text(tick)) for tick in step_ticks),
        values=tuple(Tick(y(tick), _text(tick)) for tick in value_ticks),
        reference=chart.reference and Tick(y(chart.reference[1]), chart.reference[0]),
    )


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about `most` round numbers at equal distances that reach from `low` to `high`.

    The first lies at or below `low`, the last at or above `high`.

    Raises:
        ValueError: `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"ticks need low < high, got {low} and {high}")
    rough = (high - low) / (most - 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(f * magnitude for f in (1, 2, 2.5, 5, 10) if f * magnitude >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def thinned(points: Points, most: int = _MAX_POINTS) -> Points:
    """Means of at most `most` bins of neighbouring points, the first and the last point kept."""
    if len(points) <= most:
        return points
    bins = np.array_split(np.array(points[1:-1]), most - 2)
    inner = tuple((float(step), float(value)) for step, value in (b.mean(axis=0) for b in bins))
    return (points[0], *inner, points[-1])


def running_mean(points: Points) -> Points:
    """Mean over a tenth of all points around each, over fewer near the ends, always centred."""
    values = np.array([value for _, value in points])
    sums = np.concatenate([[0.0], values.cumsum()])
    places = np.arange(len(values))
    reach = np.minimum(max(1, len(values) // 20), np.minimum(places, places[::-1]))
    means = (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)
    return tuple((step, float(mean)) for (step, _), mean in zip(points, means, strict=True))


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range itself, or one around its only value."""
    if low < high:
        return low, high
    margin = abs(low) / 10 or 1.0
    return low - margin, high + margin


def _summary(series: Series, named: bool) -> str:
    first, last = (_text(value) for _, value in (series.points[0], series.points[-1]))
    change = first if first == last else f"{first} → {last}"
    return f"{series.name} {change}" if named else change


def _text(value: float) -> str:
    """Three digits, as `0.025`, `4.61`, `1e-5`; whole numbers from 1000 on, as `12,000`."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 1e-3:
        return f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
