"""Regions of a label map: what is one region, and what it says of itself."""

from __future__ import annotations

import time
from typing import get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from leopart_kit.masks.regions import Instances, draw, find_regions

INSTANCES = get_args(Instances)
LABELS = hnp.arrays(
    np.int64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.integers(0, 3),
)


def test_components_by_hand():
    labels = np.array(
        [
            [2, 0, 1, 1],
            [0, 2, 0, 1],  # touches at a corner: one component
            [0, 0, 0, 0],
            [1, 0, 0, 9],
        ]
    )
    found = find_regions(labels, "components")
    assert [(region.class_id, region.box, region.area) for region in found] == [
        (1, [2, 0, 2, 2], 3),
        (1, [0, 3, 1, 1], 1),
        (2, [0, 0, 2, 2], 2),
        (9, [3, 3, 1, 1], 1),
    ]
    whole = find_regions(labels, "whole")
    assert [(region.class_id, region.box, region.area) for region in whole] == [
        (1, [0, 0, 4, 4], 4),
        (2, [0, 0, 2, 2], 2),
        (9, [3, 3, 1, 1], 1),
    ]
    assert [region.class_id for region in find_regions(labels, "components", 2)] == [1, 2]
    assert [region.class_id for region in find_regions(labels, "whole", 3)] == [1]


@given(labels=LABELS)
def test_regions_draw_the_labels_again(labels: np.ndarray):
    for instances in ("components", "whole"):
        regions = find_regions(labels, instances)
        np.testing.assert_array_equal(draw(regions, labels.shape), labels)
        assert sum(region.area for region in regions) == np.count_nonzero(labels)
    classes = set(np.unique(labels)) - {0}
    assert {region.class_id for region in find_regions(labels, "whole")} == classes
    expected = 0
    for class_id in classes:
        _, count = ndimage.label(labels == class_id, np.ones((3, 3)))  # type: ignore[misc]
        expected += count
    assert len(find_regions(labels, "components")) == expected


@given(labels=LABELS, min_area=st.integers(1, 8), instances=st.sampled_from(INSTANCES))
def test_small_regions_go_to_their_neighbours(labels, min_area: int, instances: Instances):
    regions = find_regions(labels, instances, min_area)
    drawn = draw(regions, labels.shape)
    assert all(region.area >= min_area for region in regions)
    assert not drawn[labels == 0].any()
    for region in find_regions(labels, instances):
        own = draw([region], labels.shape) > 0
        if region.area >= min_area:
            assert (drawn[own] == region.class_id).all()
    # Whatever touches a region that stays goes to some region.
    for part in find_regions(labels, "components"):
        own = draw([part], labels.shape) > 0
        around = np.asarray(ndimage.binary_dilation(own, np.ones((3, 3))), bool) & ~own
        kept = drawn[around & (drawn == labels) & (labels > 0)]
        assert not len(kept) or drawn[own].all()


def test_a_small_region_goes_to_the_largest_beside_it_and_alone_to_the_background():
    labels = np.zeros((9, 12), dtype=np.int64)
    labels[:, :3], labels[:4, 3:6] = 1, 2  # 27 and 12 pixels
    labels[4, 3], labels[3, 3] = 3, 4  # touch both; 4 is taken out of 2
    labels[8, 11] = 5  # alone
    expected = labels.copy()
    expected[4, 3] = expected[3, 3] = 1
    expected[8, 11] = 0
    np.testing.assert_array_equal(draw(find_regions(labels, "components", 3), (9, 12)), expected)


def test_a_chain_of_small_regions_ends_where_the_last_one_goes():
    labels = np.array([[1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4]])
    assert draw(find_regions(labels, "components", 7), labels.shape).tolist() == [[4] * 15]
    labels = np.array([[1, 1, 2, 2, 3, 3]])  # none is large before they are one
    assert len(set(draw(find_regions(labels, "components", 5), labels.shape).ravel())) == 1


def test_thousands_of_small_regions_cost_little():
    labels = np.random.default_rng(0).integers(0, 4, (400, 400))
    began = time.perf_counter()
    regions = find_regions(labels, "components", 50)
    assert time.perf_counter() - began < 20
    assert min(region.area for region in regions) >= 50
