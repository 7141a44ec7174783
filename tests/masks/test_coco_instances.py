"""Run lengths are those that pycocotools makes of the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_mask

from leopart_kit.masks.coco_instances import run_lengths
from leopart_kit.masks.regions import Instances, find_regions


@given(
    labels=hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.integers(0, 2),
    ),
    instances=st.sampled_from(["components", "whole"]),
)
def test_run_lengths_of_the_box_are_those_of_the_image(labels: np.ndarray, instances: Instances):
    for region in find_regions(labels, instances):
        canvas = np.zeros(labels.shape, dtype=np.uint8, order="F")
        region.paint(canvas, 1)
        expected: Any = coco_mask.encode(canvas)
        found = run_lengths(region, (labels.shape[0], labels.shape[1]))
        assert found["counts"] == expected["counts"].decode("ascii")
        assert found["size"] == expected["size"]
