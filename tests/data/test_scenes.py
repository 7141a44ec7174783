"""Procedural scenes: reproducible, consistent labels, every class and part in sight."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.objects import CLASSES, OBJECT_NAMES, PART_NAMES, PART_TO_OBJECT
from leopart_kit.data.scenes.pieces import Colour, ObjectClass, Piece
from leopart_kit.data.scenes.places import PLACES, SURFACE_NAMES, SURFACES
from leopart_kit.data.scenes.pose import OUTLINES, pose
from leopart_kit.data.scenes.render import Actor, Scene, render
from leopart_kit.data.scenes.textures import hsv, pattern

MAPS = ("image", "objects", "parts", "instances", "surfaces")


def same(first: Scene, second: Scene) -> bool:
    return all(np.array_equal(getattr(first, m), getattr(second, m)) for m in MAPS)


@pytest.fixture(scope="module")
def many() -> list[Scene]:
    generator = SceneGenerator((96, 112), seed=3)
    return [generator.scene(i) for i in range(120)]


def test_a_scene_depends_on_seed_and_index_only():
    forward = [SceneGenerator((64, 80), seed=5).scene(i) for i in range(6)]
    generator = SceneGenerator((64, 80), seed=5)
    backward = [generator.scene(i) for i in reversed(range(6))][::-1]
    with ThreadPoolExecutor(4) as pool:
        parallel = list(pool.map(generator.scene, range(6)))
    for one, two, three in zip(forward, backward, parallel, strict=True):
        assert same(one, two)
        assert same(one, three)


def test_other_seeds_and_indices_draw_other_scenes():
    first = SceneGenerator((64, 64), seed=0)
    pictures = [first.scene(0), first.scene(1), SceneGenerator((64, 64), seed=1).scene(0)]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert np.abs(one.image.astype(int) - other.image).mean() > 5


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(32, 90),
    width=st.integers(32, 90),
    seed=st.integers(0, 2**63),
    index=st.integers(0, 2**63),
    max_objects=st.integers(1, 6),
)
def test_maps_agree_for_any_size_and_seed(height, width, seed, index, max_objects):
    scene = SceneGenerator((height, width), seed, max_objects).scene(index)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    for name in MAPS[1:]:
        assert getattr(scene, name).shape == (height, width)
        assert getattr(scene, name).dtype == np.uint8
    np.testing.assert_array_equal(PART_TO_OBJECT[scene.parts], scene.objects)
    np.testing.assert_array_equal(scene.instances > 0, scene.objects > 0)
    assert scene.instances.max() <= max_objects
    for instance in np.unique(scene.instances):
        assert len(np.unique(scene.objects[scene.instances == instance])) == 1
    assert scene.surfaces.max() < len(SURFACE_NAMES)


def test_every_class_part_and_surface_is_seen(many):
    for name, names in (("objects", OBJECT_NAMES), ("parts", PART_NAMES)):
        seen = np.unique(np.concatenate([getattr(s, name).ravel() for s in many]))
        assert [names[i] for i in range(len(names)) if i not in seen] == []
    surfaces = np.unique(np.concatenate([s.surfaces.ravel() for s in many]))
    assert len(surfaces) == len(SURFACE_NAMES)


def test_scenes_hold_one_to_four_objects_that_can_be_seen(many):
    counts = [len(np.unique(s.instances)) - 1 for s in many]
    assert min(counts) >= 1
    assert max(counts) == 4
    covered = np.mean([(s.objects > 0).mean() for s in many])
    assert 0.12 < covered < 0.5


def test_nothing_is_flat_black_or_burnt_out(many):
    for scene in many:
        grey = cv2.cvtColor(scene.image, cv2.COLOR_RGB2GRAY)
        assert grey.std() > 12
        assert ((grey == 0) | (grey == 255)).mean() < 0.25


def test_an_object_hangs_together():
    generator = SceneGenerator((160, 160), seed=11, max_objects=1)
    checked = set()
    for index in range(60):
        scene = generator.scene(index)
        mask = (scene.instances == 1).astype(np.uint8)
        if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
            continue  # cut by the frame, which may cut it in two
        pieces, _ = cv2.connectedComponents(mask, connectivity=8)
        assert pieces == 2, f"scene {index} ({OBJECT_NAMES[scene.objects.max()]}) falls apart"
        checked.add(int(scene.objects.max()))
    assert checked == set(range(1, len(OBJECT_NAMES)))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.name)
def test_tables_are_complete(cls: ObjectClass):
    names = [piece.name for piece in cls.pieces]
    assert len(set(names)) == len(names)
    assert {piece.part for piece in cls.pieces} == set(cls.parts)
    assert {piece.colour for piece in cls.pieces} == set(cls.colours)
    assert {piece.shape for piece in cls.pieces} <= set(OUTLINES)
    for i, piece in enumerate(cls.pieces):
        assert piece.parent == "" or piece.parent in names[:i], f"{piece.name} before its parent"


def test_places_name_known_surfaces_and_classes():
    for place in PLACES:
        assert {place.upper, place.lower} <= set(SURFACES)
        assert set(place.objects) | set(place.afloat) <= set(OBJECT_NAMES[1:])


def test_every_part_belongs_to_the_object_it_is_named_after():
    for name, index in zip(PART_NAMES[1:], PART_TO_OBJECT[1:], strict=True):
        assert name.startswith(OBJECT_NAMES[index] + "_")


def box(name: str, parent: str, at: tuple[float, float], angle: float, **options) -> Piece:
    return Piece(name, name, parent, "box", 1.0, 0.2, at, (angle, angle), "paint", **options)


PAINT = {"paint": Colour((0, 0), (1, 1), (1, 1))}


def test_a_child_starts_at_the_joint_and_turns_with_its_parent():
    pieces = (box("arm", "", (3, 4), -90), box("hand", "arm", (1, 0), 90))
    cls = ObjectClass("robot", ("arm", "hand"), pieces, PAINT, (1, 1))
    (_, arm), (_, hand) = pose(cls, np.random.default_rng(0))
    np.testing.assert_allclose(arm[[0, 3]].mean(0), (3, 4), atol=1e-12)
    tip = arm[[1, 2]].mean(0)
    np.testing.assert_allclose(tip[0], 3, atol=1e-12)
    assert 0.92 <= 4 - tip[1] <= 1.08  # upwards: y points down
    np.testing.assert_allclose(hand[[0, 3]].mean(0), tip, atol=1e-12)
    np.testing.assert_allclose(hand[[1, 2]].mean(0)[1], tip[1], atol=1e-12)
    assert hand[[1, 2]].mean(0)[0] > tip[0]


def test_the_anchor_sits_on_the_joint_and_absent_pieces_take_their_children_along():
    pieces = (box("wheel", "", (0, 0), 30, anchor=0.5), box("axle", "wheel", (0, 0), 0, chance=0.0))
    pieces += (box("nut", "axle", (0, 0), 0),)
    cls = ObjectClass("cart", ("wheel", "axle", "nut"), pieces, PAINT, (1, 1))
    posed = pose(cls, np.random.default_rng(0))
    assert [piece.name for piece, _ in posed] == ["wheel"]
    np.testing.assert_allclose(posed[0][1].mean(0), (0, 0), atol=1e-12)


def square(low: float, high: float) -> np.ndarray:
    return np.array([(low, low), (high, low), (high, high), (low, high)])


def placed(class_name: str, outline: np.ndarray) -> Actor:
    cls = next(c for c in CLASSES if c.name == class_name)
    return Actor(cls, [(cls.pieces[0], outline)], 20.0, (0.0, 0.0), 0.0, afloat=True)


def test_a_nearer_object_covers_a_farther_one():
    far, near = placed("dog", square(8, 24)), placed("boat", square(16, 40))
    ground = np.full((3, 48, 48), 100, np.float32)
    surfaces = np.zeros((48, 48), np.uint8)
    scene = render(np.random.default_rng(0), ground, surfaces, [far, near], 0)
    dog, boat = OBJECT_NAMES.index("dog"), OBJECT_NAMES.index("boat")
    assert (scene.objects[17:39, 17:39] == boat).all()  # the overlap of the two included
    assert (scene.objects[9:23, 9:15] == dog).all()
    np.testing.assert_array_equal(scene.instances == 2, scene.objects == boat)
    np.testing.assert_array_equal(scene.instances == 1, scene.objects == dog)
    assert (scene.objects == 0).sum() == 48 * 48 - 25 * 25 - (17 * 17 - 9 * 9)


def test_labels_lie_where_the_picture_shows_the_object():
    ground = np.zeros((3, 40, 40), np.float32)
    rng = np.random.default_rng(0)
    surfaces = np.zeros((40, 40), np.uint8)
    scene = render(rng, ground, surfaces, [placed("car", square(10, 30))], 0)
    inside = scene.instances == 1
    assert scene.image[inside].max(axis=-1).min() > scene.image[~inside].mean() + 20


def test_the_ignored_border_lies_on_both_sides_of_contours_only():
    plain = SceneGenerator((96, 96), seed=2).scene(4)
    bordered = SceneGenerator((96, 96), seed=2, ignore_border=1).scene(4)
    ignored = bordered.objects == 255
    np.testing.assert_array_equal(bordered.parts == 255, ignored)
    np.testing.assert_array_equal(bordered.image, plain.image)
    np.testing.assert_array_equal(bordered.objects[~ignored], plain.objects[~ignored])
    np.testing.assert_array_equal(bordered.parts[~ignored], plain.parts[~ignored])
    padded = np.pad(plain.instances, 1, mode="edge")
    shifts = [padded[y : y + 96, x : x + 96] for y in range(3) for x in range(3)]
    expected = np.any([s != plain.instances for s in shifts], axis=0)
    np.testing.assert_array_equal(ignored, expected)


@pytest.mark.parametrize("name", SURFACE_NAMES)
def test_surfaces_are_textured_colours_in_range(name: str):
    for height, width in ((33, 95), (150, 64)):
        picture = SURFACES[name](np.random.default_rng(1), height, width, 0.4 * height)
        assert picture.shape == (3, height, width)
        assert picture.dtype == np.float32
        assert picture.min() > -30
        assert picture.max() < 320
        assert picture.std(axis=(1, 2)).max() > 1.5


KINDS = sorted({p for c in CLASSES for colour in c.colours.values() for p in colour.patterns})


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "plain"])
def test_patterns_stay_between_their_two_colours(kind: str):
    amount = pattern(kind, np.random.default_rng(0), 70, 50, 60.0, 0.3)
    assert amount.shape == (70, 50)
    assert amount.dtype == np.float32
    assert amount.min() >= 0
    assert amount.max() <= 1
    assert amount.std() > 0.05


def test_an_unknown_pattern_is_named():
    with pytest.raises(ValueError, match="unknown pattern 'tartan'"):
        pattern("tartan", np.random.default_rng(0), 8, 8, 8.0, 0.0)


def test_hues_are_degrees():
    np.testing.assert_allclose(hsv(120, 1, 1).ravel(), (0, 255, 0))
    np.testing.assert_allclose(hsv(-120, 1, 0.5).ravel(), (0, 0, 127.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (31, 64)}, "at least 32"),
        ({"image_size": (64, 64, 3)}, "height, width"),
        ({"seed": -1}, "seed=-1"),
        ({"max_objects": 0}, "max_objects=0"),
        ({"max_objects": 7}, "max_objects=7"),
        ({"ignore_border": -1}, "ignore_border=-1"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SceneGenerator(**options)


def test_a_negative_index_is_refused():
    with pytest.raises(ValueError, match="scene index -1"):
        SceneGenerator().scene(-1)
