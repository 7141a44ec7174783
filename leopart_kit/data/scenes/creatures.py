"""Persons and animals of procedural scenes, as tables of pieces."""

from __future__ import annotations

from leopart_kit.data.scenes.pieces import DARK, WHITE, Colour, ObjectClass, Piece, Range

COAT = ("plain", "fur", "spots", "stripes")


def _eye(parent: str, at: tuple[float, float], size: float, depth: int) -> tuple[Piece, Piece]:
    white = Piece(
        f"{parent}_eye", "head", parent, "ellipse", size, size, at, (0, 0), "white", depth, 0.5
    )
    pupil = Piece(
        f"{parent}_pupil", "head", white.name, "ellipse", 0.6 * size, 0.6 * size,
        (0.62, 0.02), (0, 0), "dark", depth, 0.5,
    )  # fmt: skip
    return white, pupil


def _person_leg(side: str, v: float, depth: int, shade: float) -> tuple[Piece, ...]:
    thigh, shin = f"thigh_{side}", f"shin_{side}"
    return (
        Piece(thigh, "leg", "torso", "limb", 0.26, 0.12, (0.07, v), (155, 205), "trousers",
              depth, 0.1, shade),
        Piece(shin, "leg", thigh, "limb", 0.25, 0.095, (0.93, 0), (0, 38), "trousers",
              depth, 0.08, shade),
        Piece(f"foot_{side}", "foot", shin, "shoe", 0.15, 0.075, (0.98, 0), (-98, -82), "shoes",
              depth, 0.3, shade),
    )  # fmt: skip


def _person_arm(side: str, v: float, depth: int, angle: Range, shade: float) -> tuple[Piece, ...]:
    upper, lower = f"upper_arm_{side}", f"forearm_{side}"
    return (
        Piece(upper, "arm", "torso", "limb", 0.19, 0.08, (0.9, v), angle, "shirt",
              depth, 0.1, shade * 0.93),
        Piece(lower, "arm", upper, "limb", 0.18, 0.062, (0.92, 0), (-80, 0), "skin",
              depth, 0.08, shade),
        Piece(f"hand_{side}", "arm", lower, "ellipse", 0.075, 0.065, (0.95, 0), (-10, 10),
              "skin", depth, 0.2, shade),
    )  # fmt: skip


PERSON = ObjectClass(
    "person",
    ("head", "hair", "torso", "arm", "leg", "foot"),
    (
        Piece("torso", "torso", "", "torso", 0.34, 0.235, (0.0, -0.5), (-97, -83), "shirt", 3),
        *_person_leg("far", -0.16, 1, 0.85),
        *_person_leg("near", 0.18, 2, 1.0),
        *_person_arm("far", 0.3, 0, (120, 240), 0.88),
        *_person_arm("near", -0.32, 5, (130, 250), 1.0),
        Piece("neck", "head", "torso", "box", 0.07, 0.075, (0.95, 0.02), (-4, 4), "skin", 2),
        Piece("head", "head", "torso", "ellipse", 0.2, 0.175, (1.08, 0.04), (-14, 14), "skin", 6),
        Piece("hair", "hair", "head", "cap", 0.135, 0.2, (0.48, -0.04), (-12, -4), "hair", 7),
        *_eye("head", (0.42, 0.27), 0.032, 8),
    ),
    {
        "skin": Colour((18, 30), (0.28, 0.55), (0.5, 0.98)),
        "hair": Colour((15, 45), (0.3, 0.8), (0.12, 0.6), ("fur",)),
        "shirt": Colour((0, 360), (0.45, 0.9), (0.6, 0.98), ("plain", "stripes", "checks")),
        "trousers": Colour((195, 265), (0.3, 0.75), (0.25, 0.65), ("plain", "fur")),
        "shoes": Colour((0, 360), (0.2, 0.8), (0.15, 0.45)),
        "white": WHITE,
        "dark": DARK,
    },
    (0.66, 1.02),
)


def _dog_leg(side: str, u: float, depth: int, shade: float, bend: Range) -> tuple[Piece, ...]:
    thigh, shin = f"thigh_{side}", f"shin_{side}"
    return (
        Piece(thigh, "leg", "torso", "limb", 0.3, 0.16, (u, 0.14), (68, 112), "coat",
              depth, 0.15, shade),
        Piece(shin, "leg", thigh, "limb", 0.25, 0.1, (0.9, 0), bend, "coat",
              depth, 0.08, shade),
        Piece(f"paw_{side}", "leg", shin, "shoe", 0.13, 0.075, (0.98, 0), (-96, -84), "paws",
              depth, 0.3, shade),
    )  # fmt: skip


DOG = ObjectClass(
    "dog",
    ("head", "snout", "ear", "torso", "leg", "tail"),
    (
        Piece("torso", "torso", "", "body", 0.78, 0.33, (-0.42, -0.62), (-7, 5), "coat", 3),
        *_dog_leg("rear_far", 0.16, 1, 0.78, (-6, 28)),
        *_dog_leg("front_far", 0.8, 1, 0.78, (-18, 12)),
        *_dog_leg("rear_near", 0.13, 5, 0.97, (-6, 28)),
        *_dog_leg("front_near", 0.86, 5, 0.97, (-18, 12)),
        Piece("neck", "torso", "torso", "limb", 0.3, 0.24, (0.88, -0.12), (-62, -36), "coat",
              4, 0.25),
        Piece("head", "head", "neck", "ellipse", 0.32, 0.28, (0.9, 0), (30, 66), "coat", 7, 0.35),
        Piece("snout", "snout", "head", "limb", 0.2, 0.14, (0.78, 0.16), (0, 14), "muzzle", 8,
              0.1),
        Piece("nose", "snout", "snout", "ellipse", 0.075, 0.065, (0.95, -0.3), (0, 0), "dark", 9,
              0.5),
        Piece("ear", "ear", "head", "drop", 0.25, 0.13, (0.3, -0.32), (78, 150), "ear", 9, 0.1),
        Piece("tail", "tail", "torso", "limb", 0.22, 0.085, (0.05, -0.2), (188, 262), "coat", 2,
              0.1),
        Piece("tail_tip", "tail", "tail", "drop", 0.24, 0.085, (0.9, 0), (-40, 45), "ear", 2,
              0.1),
        *_eye("head", (0.62, -0.1), 0.06, 9),
    ),
    {
        "coat": Colour((14, 42), (0.2, 0.75), (0.35, 0.95), COAT),
        "muzzle": Colour((25, 45), (0.08, 0.35), (0.75, 0.98)),
        "ear": Colour((10, 35), (0.4, 0.7), (0.22, 0.5), ("fur",)),
        "paws": Colour((25, 45), (0.05, 0.3), (0.7, 0.98)),
        "white": WHITE,
        "dark": DARK,
    },
    (0.5, 0.85),
    4.0,
)  # fmt: skip

BIRD = ObjectClass(
    "bird",
    ("head", "beak", "torso", "wing", "tail", "leg"),
    (
        Piece("torso", "torso", "", "egg", 0.66, 0.4, (-0.32, -0.44), (-32, -8), "plumage", 3),
        Piece("leg_far", "leg", "torso", "limb", 0.26, 0.04, (0.42, 0.34), (100, 116), "feet", 1),
        Piece("leg_near", "leg", "torso", "limb", 0.28, 0.045, (0.52, 0.34), (96, 122), "feet", 4),
        Piece("foot_far", "leg", "leg_far", "shoe", 0.14, 0.035, (1, 0), (-104, -84), "feet", 1,
              0.3),
        Piece("foot_near", "leg", "leg_near", "shoe", 0.14, 0.04, (1, 0), (-104, -84), "feet", 4,
              0.3),
        Piece("wing_far", "wing", "torso", "wing", 0.56, 0.26, (0.66, -0.15), (205, 282), "wings",
              0, 0.1, 0.78, 0.6),
        Piece("tail", "tail", "torso", "fan", 0.38, 0.2, (0.1, -0.02), (164, 192), "wings", 2,
              0.1, 0.85),
        Piece("wing_near", "wing", "torso", "wing", 0.6, 0.27, (0.68, -0.02), (168, 250), "wings",
              6, 0.1),
        Piece("head", "head", "torso", "ellipse", 0.3, 0.28, (0.92, -0.22), (6, 40), "cap", 5,
              0.35),
        Piece("beak", "beak", "head", "cone", 0.2, 0.11, (0.9, 0.06), (-2, 18), "beak", 4),
        *_eye("head", (0.62, -0.08), 0.07, 7),
    ),
    {
        "plumage": Colour((0, 360), (0.4, 0.85), (0.6, 0.98), ("plain", "spots", "fur")),
        "wings": Colour((0, 360), (0.4, 0.9), (0.3, 0.75), ("feathers",)),
        "cap": Colour((0, 360), (0.4, 0.9), (0.45, 0.95)),
        "beak": Colour((28, 50), (0.8, 1.0), (0.85, 1.0)),
        "feet": Colour((18, 35), (0.7, 0.95), (0.6, 0.85)),
        "white": WHITE,
        "dark": DARK,
    },
    (0.4, 0.75),
    8.0,
)  # fmt: skip

FISH = ObjectClass(
    "fish",
    ("head", "torso", "fin", "tail"),
    (
        Piece("torso", "torso", "", "fish", 0.95, 0.48, (-0.42, -0.4), (-8, 8), "scales", 3),
        Piece("tail", "tail", "torso", "fork", 0.34, 0.42, (0.1, 0), (158, 202), "fins", 2, 0.1),
        Piece("dorsal", "fin", "torso", "fin", 0.42, 0.24, (0.62, -0.36), (166, 190), "fins", 1),
        Piece("belly", "fin", "torso", "cone", 0.2, 0.14, (0.4, 0.3), (100, 140), "fins", 1,
              0.1, 0.9),
        Piece("head", "head", "torso", "gill", 0.33, 0.42, (0.672, 0), (0, 0), "face", 4),
        Piece("pectoral", "fin", "torso", "drop", 0.22, 0.14, (0.6, 0.12), (110, 176), "fins", 6,
              0.05),
        *_eye("head", (0.42, -0.16), 0.085, 5),
        Piece("mouth", "head", "head", "limb", 0.09, 0.025, (0.88, 0.1), (160, 185), "dark", 5),
    ),
    {
        "scales": Colour((0, 360), (0.55, 0.95), (0.65, 1.0), ("scales", "stripes", "spots")),
        "face": Colour((0, 360), (0.4, 0.9), (0.6, 1.0)),
        "fins": Colour((0, 70), (0.6, 0.95), (0.75, 1.0), ("feathers",)),
        "white": WHITE,
        "dark": DARK,
    },
    (0.36, 0.72),
    14.0,
)  # fmt: skip
