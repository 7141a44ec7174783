"""Regions of a label map: what is one region, and what it says of itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from leopart_kit.masks.regions import draw, find_regions

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


@given(labels=LABELS, min_area=st.integers(1, 8))
def test_small_regions_become_background(labels: np.ndarray, min_area: int):
    kept = draw(find_regions(labels, "components", min_area), labels.shape)
    everything = find_regions(labels, "components")
    large = [region for region in everything if region.area >= min_area]
    np.testing.assert_array_equal(kept, draw(large, labels.shape))
