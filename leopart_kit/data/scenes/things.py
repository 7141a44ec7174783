"""Cars, boats, plants and chairs of procedural scenes, as tables of pieces."""

from __future__ import annotations

from leopart_kit.data.scenes.pieces import DARK, METAL, WHITE, Colour, ObjectClass, Piece, Range


def _wheel(side: str, u: float) -> tuple[Piece, ...]:
    return (
        Piece(f"wheel_{side}", "wheel", "body", "ellipse", 0.34, 0.34, (u, 0.42), (0, 360),
              "tyre", 4, 0.5),
        Piece(f"rim_{side}", "wheel", f"wheel_{side}", "ellipse", 0.18, 0.18, (0.5, 0), (0, 0),
              "metal", 5, 0.5),
        *(Piece(f"spoke_{side}_{k}", "wheel", f"wheel_{side}", "box", 0.17, 0.022, (0.5, 0),
                (60.0 * k, 60.0 * k), "tyre", 5, 0.5) for k in range(3)),
    )  # fmt: skip


CAR = ObjectClass(
    "car",
    ("body", "window", "wheel", "light"),
    (
        Piece("body", "body", "", "carbody", 1.6, 0.38, (-0.8, -0.38), (0, 0), "paint", 2),
        Piece("cabin", "body", "body", "cabin", 0.98, 0.4, (0.13, -0.84), (0, 0), "paint", 1),
        Piece("window_rear", "window", "cabin", "cabin_rear", 0.36, 0.27, (0.13, 0.03), (0, 0),
              "glass", 3),
        Piece("window_front", "window", "cabin", "cabin_front", 0.36, 0.27, (0.53, 0.03), (0, 0),
              "glass", 3),
        *_wheel("rear", 0.21),
        *_wheel("front", 0.8),
        Piece("light_front", "light", "body", "ellipse", 0.12, 0.11, (0.95, -0.1), (0, 0), "lamp",
              4, 0.5),
        Piece("light_rear", "light", "body", "box", 0.07, 0.12, (0.025, -0.12), (0, 0), "signal",
              4, 0.3),
        Piece("handle", "body", "body", "box", 0.1, 0.026, (0.44, -0.2), (0, 0), "metal", 4),
    ),
    {
        "paint": Colour((0, 360), (0.6, 0.95), (0.55, 0.98)),
        "glass": Colour((190, 215), (0.15, 0.4), (0.65, 0.95), ("glare",)),
        "tyre": DARK,
        "metal": METAL,
        "lamp": Colour((48, 58), (0.25, 0.55), (0.95, 1.0)),
        "signal": Colour((0, 10), (0.8, 0.95), (0.75, 0.95)),
    },
    (0.4, 0.66),
)  # fmt: skip

BOAT = ObjectClass(
    "boat",
    ("hull", "mast", "sail", "flag"),
    (
        Piece("hull", "hull", "", "hull", 0.95, 0.22, (-0.48, -0.1), (-4, 4), "paint", 3),
        Piece("stripe", "hull", "hull", "box", 0.83, 0.035, (0.07, -0.2), (0, 0), "trim", 4),
        Piece("mast", "mast", "hull", "box", 0.86, 0.032, (0.5, -0.35), (-93, -87), "wood", 2),
        Piece("mainsail", "sail", "mast", "sail_left", 0.74, 0.36, (0.14, -5.8), (-1, 2), "sail",
              1),
        Piece("jib", "sail", "mast", "sail_right", 0.66, 0.3, (0.12, 5.0), (-2, 1), "jib", 1),
        Piece("flag", "flag", "mast", "flag", 0.2, 0.11, (0.94, 0.4), (80, 106), "flag", 1),
    ),
    {
        "paint": Colour((0, 360), (0.5, 0.9), (0.35, 0.85), ("plain", "planks")),
        "trim": WHITE,
        "wood": Colour((22, 36), (0.5, 0.7), (0.35, 0.6)),
        "sail": Colour((0, 360), (0.02, 0.55), (0.85, 1.0), ("plain", "stripes")),
        "jib": Colour((0, 360), (0.3, 0.85), (0.8, 1.0), ("plain", "stripes")),
        "flag": Colour((0, 360), (0.8, 1.0), (0.8, 1.0)),
    },
    (0.55, 0.95),
    3.0,
)  # fmt: skip


def _stem(name: str, at: float, angle: Range, chance: float) -> tuple[Piece, ...]:
    leaves = tuple(
        Piece(f"{name}_leaf_{k}", "leaf", name, "leaf", 0.3 - 0.03 * k, 0.13, (0.25 + 0.2 * k, 0),
              (28, 78) if k % 2 else (-78, -28), "leaves", 3 + k % 2, 0.0, 0.85 + 0.05 * k)
        for k in range(4)
    )  # fmt: skip
    petals = tuple(
        Piece(f"{name}_petal_{k}", "flower", f"{name}_centre", "drop", 0.115, 0.085, (0.5, 0),
              (60.0 * k, 60.0 * k + 12), "petals", 5)
        for k in range(6)
    )  # fmt: skip
    return (
        Piece(name, "stem", "pot", "box", 0.46, 0.026, (0.9, at), angle, "stem", 1, 0.0, 1.0,
              chance),
        *leaves,
        Piece(f"{name}_centre", "flower", name, "ellipse", 0.07, 0.07, (1.0, 0), (0, 60),
              "pollen", 6, 0.5, 1.0, 0.75),
        *petals,
    )  # fmt: skip


PLANT = ObjectClass(
    "plant",
    ("pot", "stem", "leaf", "flower"),
    (
        Piece("pot", "pot", "", "pot", 0.3, 0.36, (0.0, 0.0), (-90, -90), "clay", 7),
        Piece("rim", "pot", "pot", "box", 0.065, 0.42, (0.86, 0), (0, 0), "clay", 8, 0.0, 1.12),
        *_stem("stem_left", -0.2, (-42, -18), 0.85),
        *_stem("stem_right", 0.2, (18, 42), 0.85),
        *_stem("stem_middle", 0.0, (-10, 10), 1.0),
    ),
    {
        "clay": Colour((8, 28), (0.45, 0.75), (0.5, 0.85), ("plain", "stripes", "fur")),
        "stem": Colour((85, 115), (0.5, 0.75), (0.3, 0.5)),
        "leaves": Colour((88, 140), (0.5, 0.85), (0.4, 0.75), ("veins",)),
        "petals": Colour((280, 400), (0.5, 0.95), (0.8, 1.0)),
        "pollen": Colour((42, 56), (0.8, 1.0), (0.85, 1.0)),
    },
    (0.55, 0.92),
)


def _chair_leg(name: str, at: tuple[float, float], angle: Range, depth: int, shade: float) -> Piece:
    return Piece(
        name, "leg", "seat", "taper", 0.5, 0.06, at, angle, "wood", depth, 0.05, shade
    )  # fmt: skip


CHAIR = ObjectClass(
    "chair",
    ("seat", "back", "leg", "cushion"),
    (
        Piece("seat", "seat", "", "slab", 0.56, 0.15, (-0.28, -0.45), (-2, 2), "wood", 4),
        _chair_leg("leg_rear_left", (0.24, -0.3), (86, 96), 1, 0.66),
        _chair_leg("leg_rear_right", (0.95, -0.3), (84, 94), 1, 0.66),
        _chair_leg("leg_front_left", (0.06, 0.2), (88, 98), 3, 0.88),
        _chair_leg("leg_front_right", (0.8, 0.2), (82, 92), 3, 0.88),
        Piece("post_left", "back", "seat", "limb", 0.52, 0.055, (0.22, -0.3), (-96, -86), "wood",
              2, 0.0, 0.86),
        Piece("post_right", "back", "seat", "limb", 0.52, 0.055, (0.97, -0.3), (-94, -84), "wood",
              2, 0.0, 0.86),
        Piece("back", "back", "post_left", "panel", 0.24, 0.46, (0.5, 3.75), (-3, 3), "wood", 3),
        Piece("rail", "back", "post_left", "panel", 0.07, 0.46, (0.22, 3.75), (-3, 3), "wood", 3,
              0.0, 0.92),
        Piece("cushion", "cushion", "seat", "slab", 0.46, 0.1, (0.12, -0.25), (-1, 1), "cloth",
              5, 0.0, 1.0, 0.7),
    ),
    {
        "wood": Colour((18, 36), (0.45, 0.75), (0.4, 0.85), ("planks", "plain")),
        "cloth": Colour((0, 360), (0.5, 0.9), (0.55, 0.95), ("plain", "checks", "stripes")),
    },
    (0.55, 0.92),
)  # fmt: skip
