"""Material of an object in a procedural scene: named parts, jointed pieces, colours.

An object is a tree of pieces. Every piece is an outline on the unit square (x along its length,
y across), scaled to `length` x `width`, and turned around a joint of its parent. Posing an object
is sampling the angles of its joints. Object units: the object stands on y = 0, is about 1 high,
y points down and it faces +x.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """One outline of an object.

    `at` is the joint in the parent's unit square (for the root: in object units), `angle` the range
    of turns in degrees relative to the parent, `anchor` the point along the piece's own length
    that sits on the joint. Pieces are listed parents first and painted in the order of `depth`,
    low first.
    """

    name: str
    part: str
    parent: str
    shape: str
    length: float
    width: float
    at: tuple[float, float]
    angle: Range
    colour: str
    depth: int = 0
    anchor: float = 0.0
    shade: float = 1.0
    chance: float = 1.0


@dataclass(frozen=True)
class Colour:
    """Ranges of hue (degrees), saturation and value (0 to 1), and the patterns it may carry."""

    hue: Range
    saturation: Range
    value: Range
    patterns: tuple[str, ...] = ("plain",)


@dataclass(frozen=True)
class ObjectClass:
    """A class of objects: its parts, the pieces that draw them, and how it stands in a scene.

    `size` is the range of heights relative to the image; `tilt` the largest turn in degrees.
    """

    name: str
    parts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    colours: dict[str, Colour]
    size: Range
    tilt: float = 0.0


DARK = Colour((200, 260), (0.1, 0.3), (0.08, 0.16))
WHITE = Colour((30, 60), (0.0, 0.06), (0.92, 1.0))
METAL = Colour((200, 230), (0.02, 0.12), (0.6, 0.8))
