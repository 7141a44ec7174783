"""The object classes of procedural scenes, and the ids of classes and parts in their masks."""

from __future__ import annotations

import numpy as np

from leopart_kit.data.scenes.creatures import BIRD, DOG, FISH, PERSON
from leopart_kit.data.scenes.pieces import ObjectClass
from leopart_kit.data.scenes.things import BOAT, CAR, CHAIR, PLANT

CLASSES: tuple[ObjectClass, ...] = (PERSON, DOG, BIRD, FISH, CAR, BOAT, PLANT, CHAIR)

OBJECT_NAMES: tuple[str, ...] = ("background", *(c.name for c in CLASSES))
PART_NAMES: tuple[str, ...] = (
    "background",
    *(f"{c.name}_{part}" for c in CLASSES for part in c.parts),
)
PART_TO_OBJECT: np.ndarray = np.array(
    [0, *(i for i, c in enumerate(CLASSES, start=1) for _ in c.parts)], dtype=np.uint8
)
"""Object class id of every part id."""
