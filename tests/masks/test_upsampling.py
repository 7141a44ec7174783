"""Patches become pixels where the patches lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as F

from leopart_kit.masks import label_map, part_classes, upsampling
from leopart_kit.masks.label_maps import Upsampling
from leopart_kit.masks.upsampling import linear_labels, nearest_labels
from tests.masks.part_models import model_of

GRIDS = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
SIDES = st.integers(1, 40)


def test_nearest_by_hand():
    grid = np.array([[1, 2], [3, 4]])
    assert nearest_labels(grid, (3, 4)).tolist() == [
        [1, 1, 2, 2],
        [3, 3, 4, 4],  # the centre of the middle row lies on the border: the lower patch
        [3, 3, 4, 4],
    ]
    assert nearest_labels(grid, (1, 1)).tolist() == [[4]]


@given(data=st.data(), grid=GRIDS, height=SIDES, width=SIDES)
def test_nearest_takes_the_patch_below_the_centre_of_the_pixel(
    data: st.DataObject, grid: tuple[int, int], height: int, width: int
):
    labels = data.draw(hnp.arrays(np.int64, grid, elements=st.integers(0, 9)))
    rows = [(2 * pixel + 1) * grid[0] // (2 * height) for pixel in range(height)]
    columns = [(2 * pixel + 1) * grid[1] // (2 * width) for pixel in range(width)]
    found = nearest_labels(labels, (height, width))
    assert found.tolist() == [[labels[row, column] for column in columns] for row in rows]


@given(grid=GRIDS, clusters=st.integers(1, 5), height=SIDES, width=SIDES, seed=st.integers(0, 99))
def test_linear_is_the_best_of_the_scores_interpolated_by_torch(
    grid: tuple[int, int], clusters: int, height: int, width: int, seed: int
):
    """Among the clusters that are best in one of the four patches around a pixel."""
    scores = np.random.default_rng(seed).normal(size=(*grid, clusters)).astype(np.float32)

    expected = F.interpolate(
        torch.from_numpy(scores).permute(2, 0, 1)[None].double(),
        size=(height, width),
        mode="bilinear",
    )[0].numpy()
    best = scores.argmax(2)

    def around(pixel: int, pixels: int, patches: int) -> slice:
        place = int(np.clip((pixel + 0.5) * patches / pixels - 0.5, 0, patches - 1))
        return slice(place, place + 2)

    for y in range(height):
        for x in range(width):
            near = best[around(y, height, grid[0]), around(x, width, grid[1])]
            others = np.setdiff1d(np.arange(clusters), near)
            expected[others, y, x] = -np.inf
    found = linear_labels(scores, (height, width))
    taken = np.take_along_axis(expected, found[None], 0)[0]
    np.testing.assert_allclose(taken, expected.max(0), atol=1e-5)


def test_linear_draws_a_straight_border_between_two_patches():
    """Clusters 0 and 1 at 0 and 1; tokens 0 and 0.75 are halfway at two thirds of the way."""
    model = model_of(2, resolution=(16, 32))
    tokens = torch.tensor([[[0.0], [0.75]]])
    labels = label_map(model, part_classes(model), tokens, (1, 24), 16, "linear")
    # Patch centres at pixels 6 and 18: the border at 6 + 12 · 2/3 = 14.
    assert labels.tolist() == [[1] * 14 + [2] * 10]


@pytest.mark.parametrize("upsampling", ["linear", "nearest"])
def test_labels_are_classes_and_background(upsampling: Upsampling):
    table = part_classes(model_of(3, foreground=np.array([True, False, True])))
    model = model_of(3, resolution=(8, 24))
    tokens = torch.tensor([[[0.0], [1.0], [2.0]]])
    labels = label_map(model, table, tokens, (1, 3), 8, upsampling)
    assert labels.tolist() == [[1, 0, 3]]


def test_tokens_of_another_resolution_are_refused():
    model = model_of(3, resolution=(8, 24))
    with pytest.raises(ValueError, match="to 8 x 24"):
        label_map(model, part_classes(model), torch.zeros(2, 3, 1), (9, 9), 8)


def test_a_large_image_is_labelled_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch):
    scores = np.random.default_rng(0).random((4, 5, 3), dtype=np.float32)
    whole = linear_labels(scores, (37, 23))
    for pixels in (1, 100):
        monkeypatch.setattr(upsampling, "_PIXELS_AT_ONCE", pixels)
        assert np.array_equal(linear_labels(scores, (37, 23)), whole)
