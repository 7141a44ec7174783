"""From the tables of `scene_objects` to polygons: outlines, and posing an object.

Outlines live on the unit square, x in [0, 1] along the piece and y in [-0.5, 0.5] across.
"""

from __future__ import annotations

import math

import numpy as np

from leopart_kit.data.scenes.pieces import ObjectClass, Piece


def _arc(start: float, stop: float, count: int) -> np.ndarray:
    turn = np.radians(np.linspace(start, stop, count))
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _superellipse(power: float, count: int = 32) -> np.ndarray:
    """Rounder than a box, fuller than an ellipse: |2x - 1|^p + |2y|^p = 1."""
    circle = _arc(0, 360, count + 1)[:-1]
    return 0.5 * np.sign(circle) * np.abs(circle) ** (2 / power) + (0.5, 0.0)


def _profile(*width_at: tuple[float, float]) -> np.ndarray:
    """An outline symmetric about the x axis from (x, half width) pairs."""
    upper = np.array(width_at, dtype=float)
    return np.concatenate([upper * (1, -1), upper[::-1]])


def _tapered(start: float, stop: float, count: int = 9) -> np.ndarray:
    """A limb with round ends of half widths `start` and `stop`."""
    head = _arc(90, 270, count) * (0.12, start) + (0.12, 0)
    tail = _arc(-90, 90, count) * (0.1, stop) + (0.9, 0)
    return np.concatenate([head, tail])


def _smooth(points: list[tuple[float, float]], rounds: int = 3) -> np.ndarray:
    """Closed curve by corner cutting (Chaikin 1974)."""
    curve = np.array(points, dtype=float)
    for _ in range(rounds):
        following = np.roll(curve, -1, axis=0)
        curve = np.stack([0.75 * curve + 0.25 * following, 0.25 * curve + 0.75 * following], axis=1)
        curve = curve.reshape(-1, 2)
    return curve


OUTLINES: dict[str, np.ndarray] = {
    "box": np.array([(0, -0.5), (1, -0.5), (1, 0.5), (0, 0.5)]),
    "ellipse": _superellipse(2.0),
    "body": _superellipse(2.8),
    "panel": _superellipse(6.0),
    "limb": _tapered(0.5, 0.36),
    "taper": _profile((0, 0.5), (1, 0.3)),
    "slab": np.array([(0.0, 0.5), (0.16, -0.5), (1.0, -0.5), (0.9, 0.5)]),
    "torso": _smooth([(0, -0.4), (0.4, -0.36), (0.8, -0.52), (1.02, -0.42), (1.06, 0),
                      (1.02, 0.42), (0.8, 0.52), (0.4, 0.36), (0, 0.4)], 2),
    "egg": _smooth([(-0.06, 0), (0.12, -0.34), (0.55, -0.56), (1.0, -0.44), (1.1, 0.05),
                    (0.9, 0.5), (0.5, 0.6), (0.12, 0.3)]),
    "shoe": _smooth([(0, -0.5), (0.45, -0.5), (0.75, -0.2), (1.05, 0.05), (1.05, 0.5),
                     (0.0, 0.5)], 2),
    "cap": _smooth([(-0.3, -0.45), (0.35, -0.62), (1.02, -0.55), (1.2, 0), (1.02, 0.5),
                    (0.3, 0.6), (0.1, 0.5), (0.36, 0.2), (0.3, -0.1)], 2),
    "drop": _smooth([(0, -0.12), (0.5, -0.4), (0.9, -0.55), (1.1, 0), (0.9, 0.55), (0.5, 0.4),
                     (0, 0.12)], 2),
    "leaf": _profile((0, 0.03), (0.15, 0.22), (0.35, 0.43), (0.52, 0.5), (0.7, 0.42),
                     (0.87, 0.22), (1, 0.01)),
    "cone": _profile((0, 0.5), (0.35, 0.4), (0.7, 0.2), (1, 0.02)),
    "wing": _smooth([(0, -0.35), (0.35, -0.55), (0.75, -0.4), (1.12, -0.12), (0.85, 0.15),
                     (0.75, 0.5), (0.55, 0.35), (0.4, 0.62), (0.1, 0.45)], 2),
    "fan": np.array([(0, -0.2), (0.9, -0.5), (0.84, -0.3), (1, -0.18), (0.9, 0), (1, 0.18),
                     (0.84, 0.3), (0.9, 0.5), (0, 0.2)]),
    "fork": _smooth([(0, -0.14), (0.5, -0.3), (1.1, -0.62), (0.95, -0.25), (0.7, 0),
                     (0.95, 0.25), (1.1, 0.62), (0.5, 0.3), (0, 0.14)], 2),
    "fin": _smooth([(-0.05, 0.5), (0.0, -0.4), (0.3, -0.6), (0.7, -0.35), (1.1, 0.2),
                    (0.95, 0.5)], 2),
    "fish": _profile((0, 0.1), (0.08, 0.13), (0.2, 0.26), (0.35, 0.41), (0.5, 0.49),
                     (0.65, 0.48), (0.8, 0.38), (0.91, 0.24), (0.97, 0.12), (1, 0.02)),
    "gill": np.array([(0.0, -0.535), (0.37, -0.44), (0.69, -0.28), (0.87, -0.14), (0.97, 0),
                      (0.87, 0.14), (0.69, 0.28), (0.37, 0.44), (0.0, 0.535), (0.12, 0.3),
                      (0.18, 0.0), (0.12, -0.3)]),
    "carbody": _smooth([(0, -0.35), (0.08, -0.5), (0.3, -0.5), (0.7, -0.5), (0.92, -0.42),
                        (1, -0.2), (1.01, 0.2), (0.99, 0.45), (0.5, 0.46), (0.01, 0.45),
                        (-0.01, 0.1)], 2),
    "cabin": _smooth([(0, 0.56), (0.04, 0.2), (0.14, -0.46), (0.3, -0.5), (0.62, -0.5),
                      (0.74, -0.44), (0.98, 0.4), (1.0, 0.56), (0.5, 0.56)], 2),
    "cabin_rear": np.array([(-0.03, 0.5), (0.17, -0.48), (1, -0.5), (1, 0.5)]),
    "cabin_front": np.array([(0.0, 0.5), (0.0, -0.5), (0.46, -0.5), (0.98, 0.5)]),
    "hull": _smooth([(0, -0.5), (0.25, -0.42), (0.75, -0.42), (1.1, -0.62), (0.9, 0.3),
                     (0.78, 0.5), (0.2, 0.5), (0.08, 0.2)], 2),
    "sail_left": np.array([(0, 0.5), (1, 0.5), (0.6, 0.15), (0.3, -0.15), (0.06, -0.5),
                           (0, -0.45)]),
    "sail_right": np.array([(0, -0.5), (1, -0.5), (0.62, -0.2), (0.32, 0.1), (0.05, 0.5),
                            (0, 0.42)]),
    "flag": np.array([(0, -0.5), (1, -0.1), (1, 0.1), (0, 0.5)]),
    "pot": np.array([(0, -0.34), (0.9, -0.5), (0.9, 0.5), (0, 0.34)]),
}  # fmt: skip
"""Outlines by name, float64 `[N, 2]`."""


def pose(cls: ObjectClass, rng: np.random.Generator) -> list[tuple[Piece, np.ndarray]]:
    """Sample joints and proportions of an object.

    Returns the pieces that are present with their polygons, float64 `[N, 2]` in object units, in
    painting order. Pieces of one part share their proportions, so that both arms are equally long.
    """
    stretch = dict(zip(cls.parts, 0.93 + 0.14 * rng.random((len(cls.parts), 2)), strict=True))
    chances = rng.random((len(cls.pieces), 2)).tolist()
    frames: dict[str, tuple[np.ndarray, float, np.ndarray]] = {}
    placed: list[tuple[Piece, np.ndarray]] = []
    for piece, (turn, dice) in zip(cls.pieces, chances, strict=True):
        if dice >= piece.chance or (piece.parent and piece.parent not in frames):
            continue
        size = np.array([piece.length, piece.width]) * stretch[piece.part]
        joint, parent_angle = np.array(piece.at), 0.0
        if piece.parent:
            origin, parent_angle, parent_size = frames[piece.parent]
            joint = origin + _rotation(parent_angle) @ (joint * parent_size)
        low, high = piece.angle
        angle = parent_angle + low + turn * (high - low)
        turned = _rotation(angle)
        origin = joint - turned[:, 0] * (piece.anchor * size[0])
        frames[piece.name] = (origin, angle, size)
        placed.append((piece, (OUTLINES[piece.shape] * size) @ turned.T + origin))
    placed.sort(key=lambda item: item[0].depth)
    return placed


def _rotation(degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin], [sin, cos]])
