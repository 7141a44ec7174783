"""Figures as horizontal bars in an SVG file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from leopart_kit.report.curves import nice_ticks

WIDTH = 640
_LEFT, _RIGHT, _TOP, _ROW, _BAR = 150, 520, 56, 34, 18
_STYLE = (
    "text { font: 13px system-ui, sans-serif; fill: #333; stroke: #fff; stroke-width: 4; "
    "paint-order: stroke } .title { font-size: 16px; fill: #000 } "
    ".quiet { fill: #666; font-size: 12px } .grid { stroke: #ddd } .bar { fill: #8aa5c0 } "
    ".first { fill: #2b5c8a } .spread { stroke: #222; stroke-width: 1.5 } "
    ".reference { stroke: #2b5c8a; stroke-dasharray: 3 4 }"
)


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: written before it.
        value: at least 0; `None` where there is no figure, `text` then says why.
        spread: half the length of the line over its end, 0 for none.
        text: written behind it.
    """

    name: str
    value: float | None
    spread: float
    text: str


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """An SVG drawing of the bars from top to bottom, from 0; a line continues the first one's end.

    Raises:
        ValueError: no bar with a value, or one below 0.
    """
    values = [bar.value for bar in bars if bar.value is not None]
    if not values or min(values) < 0:
        raise ValueError(f"chart {title!r} needs a bar with a value, and none below 0")
    reach = max(bar.value + bar.spread for bar in bars if bar.value is not None)
    ticks = nice_ticks(0.0, reach or 1.0)
    bottom = _TOP + _ROW * len(bars)

    def x(value: float) -> str:
        return f"{_LEFT + value / ticks[-1] * (_RIGHT - _LEFT):.1f}"

    heading = f'{escape(title)} <tspan class="quiet" dx="8">{escape(unit)}</tspan>'
    parts = [f'<text class="title" x="16" y="28">{heading}</text>']
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{x(tick)} {_TOP}V{bottom}"/>')
        label = f'<text class="quiet" x="{x(tick)}" y="{bottom + 18}" text-anchor="middle">'
        parts.append(f"{label}{tick:g}</text>")
    if bars[0].value is not None:
        parts.append(f'<path class="reference" d="M{x(bars[0].value)} {_TOP}V{bottom}"/>')
    for number, bar in enumerate(bars):
        parts += _bar(bar, _TOP + _ROW * number + _ROW / 2, "first" if number == 0 else "bar", x)
    height = bottom + 32
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _bar(bar: Bar, middle: float, kind: str, x: Callable[[float], str]) -> list[str]:
    base = f'y="{middle + 4:g}"'
    parts = [f'<text x="{_LEFT - 10}" {base} text-anchor="end">{escape(bar.name)}</text>']
    if bar.value is None:
        return [*parts, f'<text class="quiet" x="{_LEFT + 8}" {base}>{escape(bar.text)}</text>']
    width = float(x(bar.value)) - _LEFT
    top = f'y="{middle - _BAR / 2:g}"'
    rectangle = f'<rect class="{kind}" x="{_LEFT}" {top} width="{width:.1f}" height="{_BAR}"/>'
    parts.append(rectangle)
    if bar.spread:
        low, high = x(max(0.0, bar.value - bar.spread)), x(bar.value + bar.spread)
        parts.append(f'<path class="spread" d="M{low} {middle:g}H{high}"/>')
    end = float(x(bar.value + bar.spread)) + 8
    return [*parts, f'<text x="{end:.1f}" {base}>{escape(bar.text)}</text>']
