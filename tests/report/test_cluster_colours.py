from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.report.cluster_colours import agreeing_ids


def test_the_total_overlap_decides_not_each_cluster_alone():
    # After 0 overlaps before 0 in 5 and before 1 in 4 pixels, after 1 before 0 alone in 4: pairing
    # 0-1 and 1-0 keeps 8 pixels, pairing 0-0 only 5.
    before = np.array([[0] * 5 + [1] * 4 + [0] * 4])
    after = np.array([[0] * 5 + [0] * 4 + [1] * 4])
    assert agreeing_ids([before], [after]).tolist() == [1, 0]


def test_all_images_count_together():
    before = [np.array([[0, 1]]), np.array([[1, 1], [1, 1]])]
    after = [np.array([[0, 1]]), np.array([[0, 0], [0, 0]])]
    assert agreeing_ids(before, after).tolist() == [1, 2]


def test_a_cluster_without_partner_gets_an_unused_id():
    before = np.array([[0, 0, 2]])
    after = np.array([[0, 1, 1]])
    # Cluster 1 continues 2 (as 0 is best for 0); nothing is left for a third.
    assert agreeing_ids([before], [after]).tolist() == [0, 2]
    assert agreeing_ids([before], [np.array([[3, 3, 3]])]).tolist() == [3, 4, 5, 0]


def test_pixels_of_no_cluster_do_not_count():
    before = np.array([[-1, -1, -1, 0, 1]])
    after = np.array([[0, 0, 0, 1, 0]])
    assert agreeing_ids([before], [after]).tolist() == [1, 0]


@given(st.permutations(range(6)), st.integers(0, 2**32 - 1))
def test_a_renaming_is_undone(renaming: list[int], seed: int):
    maps = [np.random.default_rng(seed).integers(0, 6, (8, 8)), np.arange(6)[None]]
    renamed = [np.array(renaming)[m] for m in maps]
    ids = agreeing_ids(maps, renamed)
    assert all((ids[new] == old).all() for old, new in zip(maps, renamed, strict=True))


def test_maps_of_other_images_are_errors():
    with pytest.raises(ValueError, match="1 maps"):
        agreeing_ids([np.zeros((1, 1), int)], [np.zeros((1, 1), int)] * 2)
    with pytest.raises(ValueError, match=r"map 0.*\[1, 2\].*\[2, 1\]"):
        agreeing_ids([np.zeros((1, 2), int)], [np.zeros((2, 1), int)])
