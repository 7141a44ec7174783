"""Textures of procedural scenes: noise, the surfaces behind the objects, patterns on the objects.

Every function draws its random numbers from the generator it is given and from nothing else.
Colours are RGB, float32 `[3, 1, 1]`, 0 to 255, pictures `[3, H, W]`; lengths are in pixels unless
said otherwise.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import cv2
import numpy as np

from leopart_kit.data.scenes.pieces import Range

# (rng, height, width, row of the horizon) → a picture of one surface
Painter = Callable[[np.random.Generator, int, int, float], np.ndarray]


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB from hue in degrees and the others in 0 to 1."""
    rgb = colorsys.hsv_to_rgb((hue % 360) / 360, min(saturation, 1.0), min(value, 1.0))
    return np.array(rgb, dtype=np.float32).reshape(3, 1, 1) * 255


def pick(rng: np.random.Generator, hue: Range, saturation: Range, value: Range) -> np.ndarray:
    """A random colour from three ranges."""
    low, high = np.array([hue, saturation, value]).T
    return hsv(*(low + rng.random(3) * (high - low)).tolist())


def noise(rng: np.random.Generator, height: int, width: int, cell: Range) -> np.ndarray:
    """Smooth noise in 0 to 1, float32 `[H, W]`; `cell` is the size (y, x) of its blobs."""
    rows = max(2, math.ceil(height / cell[0]) + 1)
    columns = max(2, math.ceil(width / cell[1]) + 1)
    grid = rng.random((min(rows, height + 1), min(columns, width + 1)), dtype=np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def clouds(rng: np.random.Generator, height: int, width: int, cell: Range) -> np.ndarray:
    """Three octaves of noise in 0 to 1, float32 `[H, W]`."""
    total = noise(rng, height, width, cell) * np.float32(4 / 7)
    for octave in (1, 2):
        scale = 2.0**octave
        layer = noise(rng, height, width, (cell[0] / scale, cell[1] / scale))
        total += layer * np.float32(4 / 7 / scale)
    return total


def mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Blend two colours by `weight [H, W]` in 0 to 1 → `[3, H, W]`."""
    return first + (second - first) * weight.astype(np.float32, copy=False)


def _steps(size: int) -> np.ndarray:
    return np.arange(size, dtype=np.float32)


def _ramp(height: int, width: int) -> np.ndarray:
    column = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return np.broadcast_to(column, (height, width))


def _floor_plane(height: int, width: int, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (across, away) on a floor seen in perspective; the unit is the camera height."""
    below = np.maximum(_steps(height)[:, None] - np.float32(horizon), 0) + 0.28 * height
    away = np.float32(height) / below
    across = (_steps(width)[None, :] - 0.5 * width) / below
    return across, np.broadcast_to(away, across.shape)


def _cells(rng: np.random.Generator, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A random number in 0 to 1 for every unit square of the plane."""
    table = rng.random(4096, dtype=np.float32)
    row, column = np.floor(y).astype(np.intp) & 63, np.floor(x).astype(np.intp) & 63
    return table.take(row * 64 + column)


def _near_edge(y: np.ndarray, x: np.ndarray, gap: float) -> np.ndarray:
    """True where a point lies within `gap` of the lower edges of its unit square."""
    return ((y - np.floor(y)) < gap) | ((x - np.floor(x)) < gap)


def sky(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Blue or dusky, paler towards the horizon, with clouds."""
    dusk = rng.random() < 0.25
    top = pick(rng, (205, 225), (0.45, 0.75), (0.65, 0.95))
    low = pick(rng, (15, 45), (0.25, 0.5), (0.9, 1.0)) if dusk else pick(
        rng, (190, 210), (0.08, 0.3), (0.93, 1.0)
    )  # fmt: skip
    fall = np.clip(_steps(height) / max(horizon, 1.0), 0, 1)[:, None]
    picture = mix(top, low, np.broadcast_to(fall, (height, width)))
    cover = clouds(rng, height, width, (height / 5, width / 2.5))
    veil = np.clip((cover - (0.42 + 0.2 * rng.random())) * 5, 0, 0.9)
    return picture + (np.float32(252) - picture) * veil


def grass(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Blades and patches of two greens."""
    hue = 75 + 40 * rng.random()
    dark, light = hsv(hue + 12, 0.65, 0.38), hsv(hue - 8, 0.62, 0.72)
    blades = noise(rng, height, width, (height / 45, width / 150))
    patches = clouds(rng, height, width, (height / 4, width / 3))
    return mix(dark, light, 0.55 * blades + 0.65 * patches - 0.1)


def sand(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Grain and ripples that narrow towards the horizon."""
    base = pick(rng, (32, 44), (0.25, 0.45), (0.75, 0.92))
    grain = noise(rng, height, width, (1.5, 1.5))
    bend = clouds(rng, height, width, (height / 3, width / 3))
    _, away = _floor_plane(height, width, horizon)
    ripples = np.sin(26 * away + 9 * bend)
    return base * (0.9 + 0.12 * grain + 0.05 * ripples + 0.08 * bend)


def road(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Asphalt with a dashed line."""
    base = pick(rng, (210, 240), (0.02, 0.1), (0.35, 0.52))
    grain = noise(rng, height, width, (1.3, 1.3))
    patches = clouds(rng, height, width, (height / 5, width / 2))
    picture = base * (0.8 + 0.22 * grain + 0.2 * patches)
    across, away = _floor_plane(height, width, horizon)
    lane = 1.0 + 0.7 * rng.random()
    dashes = (np.abs(away - lane) < 0.05) & (((across + rng.random()) % 0.7) < 0.42)
    picture[:, dashes] = np.float32(226)
    return picture


def sea(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Waves, darker towards the viewer."""
    hue = 185 + 30 * rng.random()
    far, near = hsv(hue, 0.5, 0.78), hsv(hue + 8, 0.8, 0.5)
    depth = np.clip((_steps(height) - horizon) / max(height - horizon, 1.0), 0, 1)[:, None]
    waves = clouds(rng, height, width, (height / 40, width / 7))
    weight = np.clip(depth + 1.5 * (waves - 0.5), 0, 1)
    picture = mix(far, near, weight)
    return picture + (np.clip(waves - 0.66, 0, 0.2) * 500)


def deep_water(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Seen from below the surface, with rays of light."""
    hue = 175 + 35 * rng.random()
    top, low = hsv(hue, 0.5, 0.9), hsv(hue + 18, 0.85, 0.4)
    slant = _steps(width)[None, :] + (rng.random() - 0.5) * 1.2 * _steps(height)[:, None]
    wobble = noise(rng, height, width, (height / 2, width / 6))
    rays = np.sin(slant * (28 / width) + 3 * wobble) * (1 - _ramp(height, width))
    return mix(top, low, np.clip(_ramp(height, width) - 0.14 * rays, 0, 1))


def brick(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Bricks in bond, each of its own tone."""
    base = pick(rng, (5, 28), (0.4, 0.68), (0.5, 0.78))
    rows = 12 + 8 * rng.random()
    y = _steps(height)[:, None] * np.float32(rows / height) + np.zeros((1, width), np.float32)
    x = _steps(width)[None, :] * np.float32(rows / height / 2.2) + 0.5 * (np.floor(y) % 2)
    tone = 0.78 + 0.4 * _cells(rng, y, x) + 0.14 * (noise(rng, height, width, (1.4, 1.4)) - 0.5)
    picture = base * tone
    mortar = ((y - np.floor(y)) < 0.13) | ((x - np.floor(x)) < 0.06)
    picture[:, mortar] = pick(rng, (30, 45), (0.05, 0.15), (0.65, 0.85))[..., 0]
    return picture


def wallpaper(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Stripes, dots or plain plaster."""
    base = pick(rng, (0, 360), (0.1, 0.35), (0.78, 0.95))
    style = rng.integers(3)
    step = np.float32((14 + 10 * rng.random()) / width)
    x, y = _steps(width)[None, :] * step, _steps(height)[:, None] * step
    if style == 0:
        figure = np.broadcast_to((x - np.floor(x)) < 0.5, (height, width))
    elif style == 1:
        row = np.floor(y) % 2
        figure = ((x + 0.5 * row) % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < 0.05
    else:
        figure = np.zeros((height, width), bool)
    plaster = clouds(rng, height, width, (height / 6, width / 6))
    tone = (0.94 + 0.1 * plaster) * np.where(figure, np.float32(0.86), np.float32(1))
    return base * tone


def planks(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Floor boards in perspective."""
    base = pick(rng, (20, 34), (0.42, 0.65), (0.5, 0.8))
    across, away = _floor_plane(height, width, horizon)
    y, x = away * 9, across * 1.6
    x = x + 0.37 * np.floor(y)
    grain = noise(rng, height, width, (1.5, width / 9))
    picture = base * (0.75 + 0.3 * _cells(rng, y, x) + 0.16 * grain)
    picture[:, _near_edge(y, x, 0.05)] *= np.float32(0.6)
    return picture


def tiles(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """A chequered floor in perspective."""
    first = pick(rng, (0, 360), (0.03, 0.2), (0.8, 0.95))
    second = pick(rng, (0, 360), (0.1, 0.45), (0.35, 0.7))
    across, away = _floor_plane(height, width, horizon)
    y, x = away * 5, across * 5 + rng.random()
    odd = (np.floor(x) + np.floor(y)) % 2
    dirt = noise(rng, height, width, (2.0, 2.0))
    return mix(first, second, odd) * (0.92 + 0.12 * dirt)


def pavement(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Paving stones in perspective."""
    base = pick(rng, (25, 230), (0.03, 0.12), (0.6, 0.78))
    across, away = _floor_plane(height, width, horizon)
    y, x = away * 6, across * 3.2
    x = x + 0.5 * (np.floor(y) % 2)
    grain = noise(rng, height, width, (1.4, 1.4))
    picture = base * (0.82 + 0.14 * _cells(rng, y, x) + 0.14 * grain)
    picture[:, _near_edge(y, x, 0.06)] *= np.float32(0.72)
    return picture


def hills(rng: np.random.Generator, height: int, width: int, horizon: float) -> np.ndarray:
    """Distant slopes."""
    low = pick(rng, (90, 220), (0.15, 0.4), (0.55, 0.75))
    high = pick(rng, (200, 240), (0.15, 0.35), (0.6, 0.8))
    rock = clouds(rng, height, width, (height / 12, width / 8))
    return mix(high, low, np.clip(1.4 * rock - 0.2, 0, 1))


def pattern(
    kind: str, rng: np.random.Generator, height: int, width: int, unit: float, angle: float
) -> np.ndarray:
    """Share of a piece's second colour, float32 `[H, W]` in 0 to 1.

    `unit` is the height of the object in pixels, `angle` its direction in radians. Kinds: fur,
    spots, stripes, checks, scales, feathers, veins, planks, glare.
    """
    y, x = _steps(height)[:, None] / np.float32(unit), _steps(width)[None, :] / np.float32(unit)
    cos, sin = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    along, across = x * cos + y * sin + rng.random(), y * cos - x * sin + rng.random()
    if kind == "fur":
        return noise(rng, height, width, (unit / 20, unit / 60)) * np.float32(0.8)
    if kind == "spots":
        blobs = noise(rng, height, width, (unit / 9, unit / 9))
        return np.clip((blobs - 0.6) * 12, 0, 1)
    if kind == "stripes":
        return np.clip(0.5 + 3 * np.sin(2 * math.pi * 8 * along), 0, 1).astype(np.float32)
    if kind == "checks":
        bands = ((along * 9) % 1 < 0.5).astype(np.float32), ((across * 9) % 1 < 0.5)
        return np.float32(0.5) * (bands[0] + bands[1])
    if kind == "scales":
        row = np.floor(across * 16)
        away = ((along * 14 + 0.5 * (row % 2)) % 1 - 0.5) ** 2 + (across * 16 - row - 0.5) ** 2
        return np.clip((away - 0.12) * 8, 0, 1).astype(np.float32)
    if kind in ("feathers", "veins"):
        return np.clip(0.4 + 0.5 * np.sin(2 * math.pi * 16 * across), 0, 1).astype(np.float32)
    if kind == "planks":
        return noise(rng, height, width, (unit / 60, unit / 6))
    if kind == "glare":
        return np.clip(1.5 - np.abs((along + across) % 0.5 - 0.25) * 24, 0, 1).astype(np.float32)
    raise ValueError(f"unknown pattern {kind!r}")
