"""Procedural scenes: articulated objects on textured grounds, with object and part masks.

A scene is a function of (settings, index) alone: its random numbers come from one NumPy generator
seeded with (seed, index), so scenes can be drawn in any order and by any number of workers.
Outlines are filled at twice the size in fixed-point coordinates and the labels are read off that
drawing; the picture is the same drawing averaged, textured and lit. With other versions of NumPy or
OpenCV, or on another kind of processor, rounding may change a grey level here and there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from leopart_kit.data.scenes import textures
from leopart_kit.data.scenes.objects import CLASSES
from leopart_kit.data.scenes.pieces import Piece
from leopart_kit.data.scenes.places import PLACES, SURFACE_NAMES, SURFACES, Place, draw_class
from leopart_kit.data.scenes.pose import pose
from leopart_kit.data.scenes.render import Actor, Scene, render

DRAWING_VERSION = 1
"""Raised whenever the same settings would draw another picture."""


class SceneGenerator:
    """Draws scenes by number.

    Args:
        image_size: height and width in pixels, at least 32 each.
        seed: scenes of different seeds are unrelated.
        max_objects: 1 to `max_objects` objects in a scene, at most 6.
        ignore_border: width in pixels of the band around every object that is labelled 255 in
            `objects` and `parts`, as in Pascal VOC; 0 for none.

    Raises:
        ValueError: for settings outside these ranges.
    """

    def __init__(
        self,
        image_size: Sequence[int] = (224, 224),
        seed: int = 0,
        max_objects: int = 4,
        ignore_border: int = 0,
    ) -> None:
        if len(image_size) != 2 or min(image_size) < 32:
            raise ValueError(
                f"image_size={tuple(image_size)}: give (height, width), each at least 32"
            )
        if seed < 0:
            raise ValueError(f"seed={seed}: give a seed of 0 or more")
        if not 1 <= max_objects <= 6:
            raise ValueError(f"max_objects={max_objects}: give 1 to 6")
        if not 0 <= ignore_border <= 8:
            raise ValueError(f"ignore_border={ignore_border}: give 0 to 8 pixels")
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.seed = seed
        self.max_objects = max_objects
        self.ignore_border = ignore_border

    def settings(self) -> dict[str, object]:
        """Everything that decides what scene i looks like, ready for JSON."""
        return {
            "drawing_version": DRAWING_VERSION,
            "image_size": list(self.image_size),
            "seed": self.seed,
            "max_objects": self.max_objects,
            "ignore_border": self.ignore_border,
        }

    def scene(self, index: int) -> Scene:
        """Draw scene number `index` (0 or more; any number up to 2^63 is a scene)."""
        if index < 0:
            raise ValueError(f"scene index {index}: give an index of 0 or more")
        rng = np.random.default_rng([self.seed, index])
        height, width = self.image_size
        place = PLACES[rng.integers(len(PLACES))]
        low, high = place.horizon
        horizon = height * (low + rng.random() * (high - low))
        picture, surfaces = _paint_place(rng, place, height, width, horizon)
        actors = _cast(rng, place, self.max_objects, height, width, horizon)
        return render(rng, picture, surfaces, actors, self.ignore_border)


def _paint_place(
    rng: np.random.Generator, place: Place, height: int, width: int, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    """The picture float32 `[3, H, W]` without objects, and its surfaces."""
    surfaces = np.full((height, width), SURFACE_NAMES.index(place.upper), np.uint8)
    picture = SURFACES[place.upper](rng, height, width, horizon)
    rows = np.arange(height, dtype=np.float32)[:, None]
    if rng.random() < place.hills:
        top = horizon - (0.05 + 0.2 * rng.random()) * height
        ridge = top + 0.3 * height * (textures.clouds(rng, 1, width, (1, width / 3)) - 0.4)
        _overlay(picture, surfaces, "hills", rows > ridge, rng, horizon)
    bumps = 0.06 * height if place.uneven else 0.0
    edge = horizon + bumps * (textures.noise(rng, 1, width, (1, width / 4)) - 0.5)
    _overlay(picture, surfaces, place.lower, rows > edge, rng, horizon)
    return picture, surfaces


def _overlay(
    picture: np.ndarray,
    surfaces: np.ndarray,
    name: str,
    where: np.ndarray,
    rng: np.random.Generator,
    horizon: float,
) -> None:
    """Paint a surface over the pixels `where`."""
    height, width = surfaces.shape
    weight = cv2.blur(where.astype(np.float32), (1, 3))
    picture += (SURFACES[name](rng, height, width, horizon) - picture) * weight
    surfaces[where] = SURFACE_NAMES.index(name)


def _cast(
    rng: np.random.Generator,
    place: Place,
    max_objects: int,
    height: int,
    width: int,
    horizon: float,
) -> list[Actor]:
    """Choose, pose and place the objects; far ones first."""
    count = 1 + int(rng.integers(max_objects))
    lanes = rng.permutation(count)
    nearness = np.sort(rng.random(count))
    actors = []
    for lane, near in zip(lanes.tolist(), nearness.tolist(), strict=True):
        cls = CLASSES[draw_class(place, rng)]
        afloat = cls.name in place.afloat and rng.random() < 0.8
        dice = rng.random(5)
        low, high = cls.size
        crowd = 1.0 if count == 1 else 1.0 - 0.06 * count
        size = (low + dice[0] * (high - low)) * crowd * (0.72 + 0.36 * near)
        unit = min(size * min(height, width), 0.86 * height)
        spread = 0.5 if count > 1 else 0.3
        x = width * (lane + 0.5 + spread * (dice[1] - 0.5) * 1.6) / count
        floor = height - horizon
        y = horizon + floor * (0.16 + 0.76 * near) + 0.03 * height
        if afloat:
            y = unit + dice[2] * max(0.8 * height - unit, 1.0)
        else:
            y = min(max(y, 1.1 * unit), 0.98 * height)
        tilt = math.radians(cls.tilt * (2 * dice[3] - 1))
        flip = -1.0 if dice[4] < 0.5 else 1.0
        pieces = _to_image(pose(cls, rng), unit, (x, y), tilt, flip)
        actors.append(Actor(cls, pieces, unit, (x, y), tilt, afloat))
    return actors


def _to_image(
    posed: list[tuple[Piece, np.ndarray]],
    unit: float,
    foot: tuple[float, float],
    tilt: float,
    flip: float,
) -> list[tuple[Piece, np.ndarray]]:
    """Pieces from object units to pixels: mirrored, scaled, tilted, put on their foot."""
    cos, sin = math.cos(tilt) * unit, math.sin(tilt) * unit
    turn = np.array([[flip * cos, flip * sin], [-sin, cos]])
    points = np.concatenate([outline for _, outline in posed]) @ turn + foot
    ends = np.cumsum([len(outline) for _, outline in posed])[:-1]
    return [(piece, part) for (piece, _), part in zip(posed, np.split(points, ends), strict=True)]
