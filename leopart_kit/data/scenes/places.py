"""The places of procedural scenes as data: which surfaces, and which objects are found there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leopart_kit.data.scenes import textures
from leopart_kit.data.scenes.objects import CLASSES

SURFACES: dict[str, textures.Painter] = {
    "sky": textures.sky,
    "hills": textures.hills,
    "grass": textures.grass,
    "sand": textures.sand,
    "road": textures.road,
    "pavement": textures.pavement,
    "sea": textures.sea,
    "deep water": textures.deep_water,
    "brick wall": textures.brick,
    "papered wall": textures.wallpaper,
    "wooden floor": textures.planks,
    "tiled floor": textures.tiles,
}
SURFACE_NAMES: tuple[str, ...] = tuple(SURFACES)


@dataclass(frozen=True)
class Place:
    """An upper and a lower surface that meet at a horizon, and how often each class is met there.

    `horizon` is a range of heights relative to the image, `uneven` bends it, `hills` is how often
    hills rise behind it; `afloat` names the classes that may be anywhere and not only on the lower
    surface.
    """

    name: str
    upper: str
    lower: str
    horizon: tuple[float, float]
    objects: dict[str, float]
    hills: float = 0.0
    afloat: tuple[str, ...] = ()
    uneven: bool = False


PLACES: tuple[Place, ...] = (
    Place("park", "sky", "grass", (0.3, 0.55),
          {"person": 2, "dog": 3, "bird": 2, "plant": 1, "chair": 1}, 0.6, ("bird",), True),
    Place("beach", "sky", "sand", (0.3, 0.5),
          {"person": 2, "dog": 2, "bird": 2, "chair": 1.5, "boat": 1}, 0.4, ("bird",), True),
    Place("street", "brick wall", "road", (0.4, 0.58),
          {"car": 5, "person": 2, "dog": 1, "bird": 0.5}),
    Place("avenue", "sky", "road", (0.3, 0.5),
          {"car": 4, "person": 1.5, "bird": 1, "dog": 0.5}, 0.8, ("bird",)),
    Place("pavement", "brick wall", "pavement", (0.45, 0.65),
          {"plant": 2, "chair": 2, "person": 2, "dog": 2, "bird": 1, "car": 0.5}),
    Place("room", "papered wall", "wooden floor", (0.5, 0.7),
          {"chair": 3, "plant": 3, "person": 1.5, "dog": 1.5, "bird": 0.5}),
    Place("hall", "papered wall", "tiled floor", (0.45, 0.65),
          {"plant": 2, "chair": 3, "person": 1.5, "dog": 1}),
    Place("coast", "sky", "sea", (0.35, 0.6),
          {"boat": 5, "bird": 2, "fish": 1}, 0.5, ("bird", "fish")),
    Place("reef", "deep water", "sand", (0.72, 0.86),
          {"fish": 1}, 0.0, ("fish",), True),
)  # fmt: skip

SURPRISE = 0.08
"""Share of objects drawn from all classes alike, so that no class is tied to its places."""


def draw_class(place: Place, rng: np.random.Generator) -> int:
    """Index into `CLASSES` of an object met at a place."""
    weights = np.array([place.objects.get(c.name, 0.0) for c in CLASSES])
    weights = (1 - SURPRISE) * weights / weights.sum() + SURPRISE / len(CLASSES)
    return int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))
