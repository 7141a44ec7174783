"""Drawing a scene: labels from hard outlines, colours from the same drawing averaged, light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from leopart_kit.data.label_sets import IGNORE_INDEX
from leopart_kit.data.scenes import textures
from leopart_kit.data.scenes.objects import PART_NAMES, PART_TO_OBJECT
from leopart_kit.data.scenes.pieces import Colour, ObjectClass, Piece

_OVERSAMPLING = 2
_FIXED_POINT_BITS = 4
_PART_IDS = {name: i for i, name in enumerate(PART_NAMES)}
_FAINT = ("fur", "planks", "veins", "feathers", "glare")


@dataclass(frozen=True)
class Scene:
    """One scene; the maps are uint8 `[H, W]`.

    `image` uint8 `[H, W, 3]` RGB; `objects` and `parts` hold class ids (0 = background, 255 = the
    ignored border, if any); `instances` numbers the objects 1, 2, … from far to near, 0 =
    background, a hidden object's number is missing; `surfaces` holds the index into
    `SURFACE_NAMES` of `places.py` of the surface at, or behind, every pixel.
    """

    image: np.ndarray
    objects: np.ndarray
    parts: np.ndarray
    instances: np.ndarray
    surfaces: np.ndarray


@dataclass(frozen=True)
class Actor:
    """An object placed in a scene: its pieces in pixels, the height and foot of the whole."""

    cls: ObjectClass
    pieces: list[tuple[Piece, np.ndarray]]
    unit: float
    foot: tuple[float, float]
    tilt: float
    afloat: bool


class _Paints:
    """Tables over paint numbers: every drawn piece has its own paint, paint 0 is the ground.

    `second` is what the pattern multiplies the colour by where it shows fully.
    """

    def __init__(self, actors: list[Actor]) -> None:
        size = 1 + sum(len(actor.pieces) for actor in actors)
        self.colour = np.zeros((size, 3), np.float32)
        self.second = np.ones((size, 3), np.float32)
        self.pattern = np.full(size, "plain", dtype="<U12")
        self.part = np.zeros(size, np.uint8)
        self.instance = np.zeros(size, np.uint8)

    def add(self, rng: np.random.Generator, actor: Actor, instance: int, first: int) -> None:
        """Choose the colours of one object; its pieces get the paints from `first` on."""
        slots = {name: _choose(rng, colour) for name, colour in actor.cls.colours.items()}
        for paint, (piece, _) in enumerate(actor.pieces, start=first):
            colour, second, pattern = slots[piece.colour]
            self.colour[paint] = np.rint(np.minimum(colour.ravel() * piece.shade, 255))
            self.second[paint] = second.ravel()
            self.pattern[paint] = pattern
            self.part[paint] = _PART_IDS[f"{actor.cls.name}_{piece.part}"]
            self.instance[paint] = instance


def _choose(rng: np.random.Generator, colour: Colour) -> tuple[np.ndarray, np.ndarray, str]:
    """A colour, what its pattern multiplies it by, and the pattern."""
    first = textures.pick(rng, colour.hue, colour.saturation, colour.value)
    other = textures.pick(rng, colour.hue, colour.saturation, (0.2, 1.0))
    pattern = colour.patterns[rng.integers(len(colour.patterns))]
    strength = np.float32(0.45 if pattern in _FAINT else 0.85)
    second = 1 + strength * (other / np.maximum(first, 32) - 1)
    if pattern == "glare":
        second = np.full((3, 1, 1), 1.25, np.float32)
    return first, np.clip(second, 0.4, 1.9), pattern


def render(
    rng: np.random.Generator,
    ground: np.ndarray,
    surfaces: np.ndarray,
    actors: list[Actor],
    ignore_border: int,
) -> Scene:
    """Draw the objects, in order, over the ground float32 `[3, H, W]`, which is changed."""
    height, width = surfaces.shape
    paints = _Paints(actors)
    canvas = np.zeros((height * _OVERSAMPLING, width * _OVERSAMPLING), np.uint16)
    drawing = np.zeros((*canvas.shape, 4), np.uint8)
    paint, owners = 1, []
    for instance, actor in enumerate(actors, start=1):
        _cast_shadow(ground, actor)
        paints.add(rng, actor, instance, paint)
        owners.append(slice(paint, paint + len(actor.pieces)))
        for _, outline in actor.pieces:
            fixed = np.rint(outline * (_OVERSAMPLING << _FIXED_POINT_BITS)).astype(np.int32)
            colour = (*paints.colour[paint].tolist(), 255.0)
            cv2.fillPoly(canvas, [fixed], (float(paint),), cv2.LINE_8, _FIXED_POINT_BITS)
            cv2.fillPoly(drawing, [fixed], colour, cv2.LINE_8, _FIXED_POINT_BITS)
            paint += 1
    labels = canvas[::_OVERSAMPLING, ::_OVERSAMPLING].astype(np.intp)
    parts, instances = paints.part[labels], paints.instance[labels]
    image = _cover(ground, drawing)
    for actor, owned in zip(actors, owners, strict=True):
        _weave(rng, image, labels, actor, paints, owned)
    image *= _relief(rng, labels, instances)
    objects = PART_TO_OBJECT[parts]
    if ignore_border:
        border = _contours(instances, ignore_border)
        objects[border] = parts[border] = IGNORE_INDEX
    return Scene(_expose(rng, image), objects, parts, instances, surfaces)


def _cast_shadow(ground: np.ndarray, actor: Actor) -> None:
    """Darken the ground under an object that stands on it."""
    if actor.afloat:
        return
    outline = np.concatenate([points for _, points in actor.pieces])
    left, right = outline[:, 0].min(), outline[:, 0].max()
    reach, depth = 0.5 * (right - left), 0.07 * actor.unit
    centre_x = 0.5 * (left + right)
    centre_y = min(outline[:, 1].max(), actor.foot[1] + 0.02 * actor.unit) - 0.3 * depth
    height, width = ground.shape[1:]
    rows = slice(*_inside(centre_y - 1.4 * depth, centre_y + 1.4 * depth, height))
    columns = slice(*_inside(centre_x - 1.4 * reach, centre_x + 1.4 * reach, width))
    y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - centre_y) / depth
    x = (np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - centre_x) / reach
    shadow = np.clip(1.3 - np.sqrt(x**2 + y**2), 0, 0.55).astype(np.float32)
    ground[:, rows, columns] *= 1 - shadow


def _inside(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(math.floor(low), 0), size)
    return first, max(min(math.ceil(high) + 1, size), first)


def _cover(ground: np.ndarray, drawing: np.ndarray) -> np.ndarray:
    """The drawing RGBA, averaged over the samples of each pixel, over the ground."""
    height, width = ground.shape[1:]
    *colour, cover = cv2.split(cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA))
    return ground * (1 - cover * np.float32(1 / 255)) + np.stack(colour)


def _weave(
    rng: np.random.Generator,
    image: np.ndarray,
    labels: np.ndarray,
    actor: Actor,
    paints: _Paints,
    owned: slice,
) -> None:
    """Multiply the patterns of one object into the image."""
    height, width = labels.shape
    outline = np.concatenate([points for _, points in actor.pieces])
    columns = slice(*_inside(outline[:, 0].min(), outline[:, 0].max(), width))
    rows = slice(*_inside(outline[:, 1].min(), outline[:, 1].max(), height))
    seen, window = labels[rows, columns], image[:, rows, columns]
    if not seen.size:
        return
    for kind in sorted(set(paints.pattern[owned].tolist()) - {"plain"}):
        excess = np.zeros(paints.second.shape, np.float32)
        excess[owned] = (paints.second[owned] - 1) * (paints.pattern[owned] == kind)[:, None]
        amount = textures.pattern(kind, rng, seen.shape[0], seen.shape[1], actor.unit, actor.tilt)
        window *= 1 + excess.T.take(seen, axis=1) * amount


def _relief(rng: np.random.Generator, labels: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Light on pieces that bulge towards the middle, float32 `[H, W]`, 1 on the ground."""
    height, width = labels.shape
    radius = max(2.0, min(height, width) / 22)
    edge = np.zeros(labels.shape, np.uint8)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    depth = cv2.distanceTransform(1 - edge, cv2.DIST_L2, 3)
    rise = 1 - np.minimum(depth / np.float32(radius), 1)
    bulge = cv2.blur(np.sqrt(1 - rise * rise), (3, 3))
    side = 1 if rng.random() < 0.5 else -1
    slope_x = cv2.Sobel(bulge, cv2.CV_32F, 1, 0, scale=radius / 8)
    slope_y = cv2.Sobel(bulge, cv2.CV_32F, 0, 1, scale=radius / 8)
    light = np.clip(0.2 * (side * slope_x + slope_y), -0.32, 0.25) + 0.9 + 0.12 * bulge
    return np.where(instances > 0, light, np.float32(1))


def _expose(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Tint, brightness, vignette and grain of the whole picture → uint8."""
    height, width = image.shape[1:]
    warmth, brightness, contrast = (rng.random(3) - 0.5).tolist()
    gain = 1 + 0.2 * contrast
    tint = np.array([1 + 0.1 * warmth, 1, 1 - 0.1 * warmth], np.float32).reshape(3, 1, 1)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    grain = rng.random((height, width), dtype=np.float32)
    image *= tint * gain
    image *= 1 - np.float32(0.09) * (x * x + y * y)
    image += 9 * (grain - np.float32(0.5)) + np.float32(128 * (1 - gain) + 36 * brightness)
    np.clip(np.rint(image, out=image), 0, 255, out=image)
    return cv2.merge(list(image.astype(np.uint8)))


def _contours(instances: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels within `thickness` of the contour of an object, bool `[H, W]`."""
    kernel = np.ones((3, 3), np.uint8)
    grown = cv2.dilate(instances, kernel, iterations=thickness)
    return grown != cv2.erode(instances, kernel, iterations=thickness)
