"""Overlays and outlines: what is drawn where, of maps of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leopart_kit import outline, overlay, palette
from leopart_kit.drawing import fit_labels

MAPS = arrays(np.int64, st.tuples(*[st.integers(1, 9)] * 2), elements=st.integers(-1, 5))
PHOTO = np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3)


@given(MAPS, st.floats(0, 1), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_an_overlay_mixes_each_colour_with_the_photograph(
    labels: np.ndarray, opacity: float, num_colours: int
):
    colours = palette(num_colours)
    drawn = overlay(PHOTO, labels, colours, opacity)
    fitted = fit_labels(labels, (9, 9))
    known = (fitted >= 0) & (fitted < num_colours)
    expected = PHOTO + opacity * (colours[np.where(known, fitted, 0)] - PHOTO.astype(float))
    assert np.abs(drawn - expected)[known].max(initial=0) <= 0.5001
    assert (drawn == PHOTO)[~known].all()


@given(MAPS, st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_line_is_where_another_label_is_near(labels: np.ndarray, width: int):
    fitted = fit_labels(labels, (9, 9))
    drawn = outline(PHOTO, labels, palette(6), width)
    for row, column in np.ndindex(9, 9):
        near = fitted[
            max(0, row - width) : row + width + 1, max(0, column - width) : column + width + 1
        ]
        label = fitted[row, column]
        on_line = label >= 0 and (near != label).any()
        expected = palette(6)[label] if on_line else PHOTO[row, column]
        assert (drawn[row, column] == expected).all()


def test_tensors_are_drawn_as_arrays_are():
    labels = np.array([[0, 1], [2, -1]])
    image = torch.from_numpy(PHOTO).permute(2, 0, 1)
    for draw in (overlay, outline):
        given_tensors = draw(image, torch.from_numpy(labels))
        np.testing.assert_array_equal(given_tensors, draw(PHOTO, labels))


@pytest.mark.parametrize(
    ("image", "labels", "options", "named"),
    [
        (PHOTO / 255, np.zeros((9, 9), int), {}, "image"),
        (PHOTO.transpose(2, 0, 1), np.zeros((9, 9), int), {}, "image"),
        (torch.from_numpy(PHOTO), np.zeros((9, 9), int), {}, "image"),
        (PHOTO, np.zeros((9, 9)), {}, "labels"),
        (PHOTO, np.zeros((1, 9, 9), int), {}, "labels"),
        (PHOTO, np.zeros((0, 9), int), {}, "labels"),
        (PHOTO, np.zeros((9, 9), int), {"colours": np.zeros((2, 3))}, "colours"),
        (PHOTO, np.zeros((9, 9), int), {"colours": np.zeros((0, 3), np.uint8)}, "colours"),
    ],
)
def test_what_cannot_be_drawn_is_told(image, labels, options: dict, named: str):
    for draw in (overlay, outline):
        with pytest.raises(ValueError, match=named):
            draw(image, labels, **options)


def test_opacity_and_width_have_ranges():
    for opacity in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="opacity"):
            overlay(PHOTO, np.zeros((9, 9), int), opacity=opacity)
    for width in (0, 1.5):
        with pytest.raises(ValueError, match="width"):
            outline(PHOTO, np.zeros((9, 9), int), width=width)  # type: ignore[arg-type]
