from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from leopart_kit.drawing import colour_labels
from leopart_kit.report.pictures import (
    alpha_uri,
    css_colour,
    label_uri,
    photo_uri,
    shrink_labels,
    shrunk_size,
)

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 255]], dtype=np.uint8)


def decode(uri: str) -> Image.Image:
    header, data = uri.split(",", 1)
    assert header in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("size", "shrunk"),
    [((300, 400), (300, 400)), ((1280, 640), (640, 320)), ((1, 5000), (1, 640))],
)
def test_longer_side_is_bounded(size: tuple[int, int], shrunk: tuple[int, int]):
    assert shrunk_size(*size) == shrunk


def test_labels_shrink_by_the_pixel_at_the_centre():
    labels = np.arange(1920)[None].repeat(3, axis=0)
    np.testing.assert_array_equal(shrink_labels(labels), np.arange(1, 1920, 3)[None])


def test_label_map_keeps_exact_colours():
    labels = np.array([[0, 1], [2, 1]])
    pixels = np.asarray(decode(label_uri(labels, PALETTE)).convert("RGB"))
    np.testing.assert_array_equal(pixels, PALETTE[labels])


@pytest.mark.parametrize("outside", [255, -1, 3])
def test_labels_of_no_class_are_hatched(outside: int):
    colours = colour_labels(np.full((16, 16), outside), PALETTE)
    found = np.unique(colours.reshape(-1, 3), axis=0)
    assert len(found) == 2
    assert (found.max(1) - found.min(1) < 10).all()  # greys
    assert not (found[:, None] == PALETTE[None]).all(-1).any()


def test_photo_is_a_small_jpeg():
    image = np.full((600, 1200, 3), (200, 30, 60), dtype=np.uint8)
    picture = decode(photo_uri(image))
    assert picture.format == "JPEG"
    assert picture.size == (640, 320)
    assert np.abs(np.asarray(picture).astype(int) - (200, 30, 60)).max() <= 4


def test_share_becomes_opacity():
    pixels = np.asarray(decode(alpha_uri(np.array([[0.0, 0.2, 1.0]]), (10, 20, 30))))
    np.testing.assert_array_equal(pixels[0], [[10, 20, 30, a] for a in (0, 51, 255)])


def test_css_colour():
    assert css_colour(np.array([255, 0, 128], dtype=np.uint8)) == "#ff0080"
