"""Colours of classes on pages: told apart from each other and from light and dark pages."""

from __future__ import annotations

import numpy as np
import pytest

from leopart_kit.data.palettes import _oklab, class_palette

PAGES = np.array([[252, 251, 249], [22, 21, 19]])


def lab(colours: np.ndarray) -> np.ndarray:
    return _oklab(colours / 255)


@pytest.mark.parametrize(("number", "apart"), [(6, 0.14), (21, 0.1), (27, 0.1), (171, 0.03)])
def test_colours_are_told_apart_on_light_and_dark(number: int, apart: float):
    names = ["background", *map(str, range(1, number))]
    found = lab(class_palette(names))
    gaps = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert gaps[np.triu_indices(number, 1)].min() > apart
    assert np.linalg.norm(found[:, None] - lab(PAGES)[None], axis=-1).min() > 0.18


@pytest.mark.parametrize("place", [0, 2, 3])
def test_background_is_grey_wherever_it_stands(place: int):
    others = ["cat", "dog", "sky"]
    names = [*others[:place], "Background", *others[place:]]
    colours = class_palette(names)
    assert np.ptp(colours[place].astype(int)) < 5
    np.testing.assert_array_equal(np.delete(colours, place, 0), class_palette(others))


def test_without_classes_there_are_no_colours():
    assert class_palette([]).shape == (0, 3)
