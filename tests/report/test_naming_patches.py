from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.report.representative_patches import Patch, representative_patches


def test_small_case_by_hand():
    maps = [
        (7, np.array([[0, 0], [1, -1]]), np.array([[0.5, 0.25], [0.5, 0.9]])),
        (3, np.array([[0, 2], [2, 2]]), np.array([[0.75, 0.0], [0.125, 0.5]])),
    ]
    zero, one, two, three = representative_patches(maps, 4, num_best=1, num_uncertain=2)
    assert zero.best == (Patch(3, 0, 0, 0.75),)
    assert zero.uncertain == (Patch(7, 0, 1, 0.25),)
    assert (zero.num_patches, zero.num_images) == (3, 2)
    assert (one.best, one.uncertain) == ((Patch(7, 1, 0, 0.5),), ())
    assert (two.best, two.uncertain) == ((Patch(3, 1, 1, 0.5),), (Patch(3, 0, 1, 0.0),))
    assert (three.best, three.uncertain, three.num_patches) == ((), (), 0)


@given(st.integers(0, 500), st.integers(0, 4), st.integers(1, 4), st.integers(1, 3))
def test_as_sorting_everything_at_once(
    seed: int, num_best: int, num_uncertain: int, per_image: int
):
    rng = np.random.default_rng(seed)
    maps = [
        (index, rng.integers(-1, 4, (3, 5)), rng.permutation(15).reshape(3, 5) + index / 10)
        for index in range(5)
    ]
    chosen = representative_patches(
        iter(maps), 4, num_best=num_best, num_uncertain=num_uncertain, per_image=per_image
    )
    for cluster, found in enumerate(chosen):
        highest, lowest, number = [], [], 0
        for index, labels, margins in maps:
            places = np.argwhere(labels == cluster)
            patches = [Patch(index, int(r), int(c), float(margins[r, c])) for r, c in places]
            patches.sort(key=lambda patch: patch.margin)
            highest += patches[::-1][:per_image]
            lowest += patches[:per_image]
            number += len(patches)
        best = sorted(highest, key=lambda patch: -patch.margin)[:num_best]
        unsure = [p for p in sorted(lowest, key=lambda patch: patch.margin) if p not in best]
        assert list(found.best) == best
        assert list(found.uncertain) == unsure[:num_uncertain]
        assert found.num_patches == number


def test_equal_margins_go_to_the_lower_image_whatever_the_order():
    maps = [(index, np.zeros((1, 1), int), np.zeros((1, 1))) for index in (4, 2, 8, 1)]
    (found,) = representative_patches(maps, 1, num_best=2, num_uncertain=1)
    assert [patch.image for patch in found.best] == [1, 2]
    assert [patch.image for patch in found.uncertain] == [4]


def test_wrong_maps_are_named():
    labels = np.array([[0, 9]])
    with pytest.raises(ValueError, match="image 5: label 9"):
        representative_patches([(5, labels, labels / 10)], 3)
    with pytest.raises(ValueError, match=r"image 5.*\(1, 2\)"):
        representative_patches([(5, labels, labels[0] / 10)], 10)
