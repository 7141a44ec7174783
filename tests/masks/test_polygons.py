"""Polygons draw the mask they were made of, in each reader's own way of drawing."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from leopart_kit.masks.polygons import trace_edges, trace_polygons

MASKS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([0, 1, 1]),
)
SIZE = (60, 80)


def with_opencv(mask: np.ndarray) -> np.ndarray:
    canvas = np.zeros(mask.shape, np.uint8)
    for ring in trace_polygons(mask):
        cv2.fillPoly(canvas, [ring.astype(np.int32)], 1)
    return canvas


def with_pillow(mask: np.ndarray) -> np.ndarray:
    """As labelme makes masks of its polygons."""
    canvas = np.zeros(mask.shape, np.uint8)
    for ring in trace_polygons(mask):
        image = Image.new("L", (mask.shape[1], mask.shape[0]))
        points = [tuple(point) for point in (ring + 0.25).tolist()]
        ImageDraw.Draw(image).polygon(points, outline=1, fill=1)
        canvas |= np.asarray(image)
    return canvas


def with_pycocotools(mask: np.ndarray) -> np.ndarray:
    rings = [ring.ravel().tolist() for ring in trace_edges(mask)]
    if not rings:
        return np.zeros(mask.shape, np.uint8)
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, *mask.shape)))


DRAW = [with_opencv, with_pillow, with_pycocotools]


def ring_with_holes() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (40, 30), 28, 1, -1)
    for x, y, radius in [(40, 30, 9), (25, 30, 3), (55, 20, 1), (50, 45, 4), (30, 14, 0)]:
        cv2.circle(mask, (x, y), radius, 0, -1)
    cv2.circle(mask, (40, 30), 4, 1, -1)  # an island in a hole
    return mask


def thin_lines() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    cv2.line(mask, (3, 3), (70, 3), 1)
    cv2.line(mask, (5, 8), (5, 55), 1)
    cv2.line(mask, (10, 10), (50, 50), 1)
    cv2.rectangle(mask, (60, 10), (75, 30), 1)  # a frame of one pixel
    mask[40, 60] = mask[40, 62:64] = 1
    return mask


def holes_in_holes() -> np.ndarray:
    """Frames of one pixel around each other, the gaps between them of one pixel too."""
    rows, columns = np.indices((41, 61))
    distance = np.minimum.reduce([rows, columns, 40 - rows, 60 - columns])
    return (distance % 2 == 0).astype(np.uint8)


@pytest.mark.parametrize("draw", DRAW)
@pytest.mark.parametrize("make", [ring_with_holes, thin_lines, holes_in_holes])
def test_holes_and_thin_parts_are_kept(
    draw: Callable[[np.ndarray], np.ndarray], make: Callable[[], np.ndarray]
):
    np.testing.assert_array_equal(draw(make()), make())


@given(mask=MASKS)
def test_any_mask_is_drawn_again(mask: np.ndarray):
    np.testing.assert_array_equal(with_opencv(mask), mask)
    np.testing.assert_array_equal(with_pycocotools(mask), mask)
    np.testing.assert_array_equal(with_pillow(mask), mask)


@given(mask=MASKS)
def test_a_ring_for_each_component(mask: np.ndarray):
    rings = trace_polygons(mask)
    assert len(rings) == cv2.connectedComponents(mask, connectivity=8)[0] - 1
    assert all(len(ring) >= 3 for ring in rings)


def test_many_holes_cost_little():
    """6,400 holes whose slits follow one another; a cost of their square would be minutes."""
    mask = np.ones((402, 402), np.uint8)
    mask[2:402:5, 2:402:5] = 0
    start = time.perf_counter()
    (ring,) = trace_polygons(mask)
    assert time.perf_counter() - start < 5
    assert len(ring) < 20 * 6400
    np.testing.assert_array_equal(with_opencv(mask), mask)


def test_rectangle_by_hand():
    mask = np.zeros((5, 6), np.uint8)
    mask[1:4, 2:5] = 1
    (ring,) = trace_polygons(mask)
    assert sorted(map(tuple, ring.tolist())) == [(2, 1), (2, 3), (4, 1), (4, 3)]
    (edge,) = trace_edges(mask)
    assert sorted(map(tuple, edge.tolist())) == [
        (2.25, 1.25),
        (2.25, 3.75),
        (4.75, 1.25),
        (4.75, 3.75),
    ]


def test_one_pixel():
    (ring,) = trace_polygons(np.ones((1, 1), np.uint8))
    assert ring.tolist() == [[0, 0]] * 3
    (edge,) = trace_edges(np.ones((1, 1), np.uint8))
    assert sorted(map(tuple, edge.tolist())) == [
        (0.25, 0.25),
        (0.25, 0.75),
        (0.75, 0.25),
        (0.75, 0.75),
    ]


def test_no_mask_has_no_polygon():
    assert trace_polygons(np.zeros((3, 3), np.uint8)) == []


def overlaps(exact: list[np.ndarray], simple: list[np.ndarray], mask: np.ndarray) -> list[float]:
    """Intersection over union of each region as OpenCV draws it, exactly and with fewer points."""
    found = []
    for rings in zip(exact, simple, strict=True):
        one, other = (np.zeros(mask.shape, np.uint8) for _ in rings)
        for canvas, ring in zip((one, other), rings, strict=True):
            cv2.fillPoly(canvas, [ring.astype(np.int32)], 1)
        found.append(float(np.sum(one & other) / np.sum(one | other)))
    return found


@pytest.mark.parametrize("tolerance", [0.5, 1, 3, 50])
@pytest.mark.parametrize("seed", range(4))
def test_simplified_outlines_have_few_points_and_nearly_the_same_pixels(seed, tolerance):
    """Holes too: the two sides of a slit stay one line."""
    noise = np.random.default_rng(seed).normal(size=(300, 400)).astype(np.float32)
    mask = (cv2.GaussianBlur(noise, (0, 0), 12) > 0).astype(np.uint8)
    exact, simple = trace_polygons(mask), trace_polygons(mask, tolerance)
    assert min(overlaps(exact, simple, mask)) >= 0.99
    points = [sum(map(len, rings)) for rings in (exact, simple)]
    assert points[1] < 0.7 * points[0]
    edges = [sum(map(len, trace_edges(mask, level))) for level in (0, tolerance)]
    assert edges[1] < 0.7 * edges[0]


@settings(max_examples=60)
@given(mask=MASKS, tolerance=st.floats(0, 20))
def test_no_tolerance_loses_a_region(mask: np.ndarray, tolerance: float):
    exact, simple = trace_polygons(mask), trace_polygons(mask, tolerance)
    assert len(simple) == len(exact)
    assert all(len(ring) >= 3 for ring in simple)
    assert min(overlaps(exact, simple, mask), default=1) >= 0.99
