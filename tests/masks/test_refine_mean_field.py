from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.masks.mean_field import BilateralGrid, mean_field
from leopart_kit.masks.pairwise import GRID, Pairwise


def test_cells_that_touch_share_their_mass():
    """Three pixels in one row, cells 1 pixel wide, the third of another colour and so apart."""
    image = np.array([[[0, 0, 0], [0, 0, 0], [250, 0, 0]]], dtype=np.uint8)
    grid = BilateralGrid(image, sxy=1, srgb=10)
    # In each of five dimensions a cell keeps 1/2 and hands 1/4 on; only the first two touch.
    own, neighbour = 1 / 32, 1 / 64
    mass = own + neighbour
    filtered = grid.filter(np.array([[[1.0, 0.0, 0.0]]], dtype=np.float32))
    np.testing.assert_allclose(filtered, [[[own / mass, neighbour / mass, 0]]], rtol=1e-6)
    lone = grid.filter(np.array([[[0.0, 0.0, 5.0]]], dtype=np.float32))
    np.testing.assert_allclose(lone, [[[0, 0, 5.0]]], rtol=1e-6)


def test_cells_at_opposite_ends_of_a_row_do_not_touch():
    image = np.zeros((3, 8, 3), np.uint8)
    values = np.zeros((1, 3, 8), np.float32)
    values[0, 1, 7] = 1
    filtered = BilateralGrid(image, sxy=1, srgb=10).filter(values)[0]
    assert filtered[2, 7] > 0
    assert filtered[:, :6].max() == 0


def test_an_update_by_hand():
    """Two pixels of one colour in one cell: the colour term is their mean, weighed by 3."""
    image = np.zeros((1, 2, 3), np.uint8)
    probabilities = np.array([[[0.8, 0.6]], [[0.2, 0.4]]], dtype=np.float32)
    pairwise = Pairwise(gaussian_compat=0, bilateral_sxy=100, bilateral_compat=3, num_iterations=1)
    # Of a cell without neighbours 1/32 comes back, for the mass too: what is left is the sum of
    # the two over sqrt(2) · sqrt(2).
    logits = np.log(probabilities) + 3 * np.array([0.7, 0.3])[:, None, None]
    expected = np.exp(logits) / np.exp(logits).sum(0)
    np.testing.assert_allclose(mean_field(image, probabilities, pairwise), expected, rtol=1e-5)


@given(st.integers(0, 1_000), st.integers(2, 5))
def test_marginals_sum_to_one_and_follow_the_order_of_the_labels(seed: int, num_labels: int):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    probabilities = rng.dirichlet(np.ones(num_labels), (5, 4)).transpose(2, 0, 1)
    probabilities = probabilities.astype(np.float32).clip(1e-5)
    marginals = mean_field(image, probabilities, GRID)
    np.testing.assert_allclose(marginals.sum(0), 1, rtol=1e-5)
    order = rng.permutation(num_labels)
    shuffled = mean_field(image, probabilities[order], GRID)
    np.testing.assert_allclose(shuffled, marginals[order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bilateral_srgb": 0}, "bilateral_srgb"),
        ({"gaussian_compat": -1}, "gaussian_compat"),
        ({"num_iterations": 0}, "num_iterations"),
    ],
)
def test_wrong_parameters_are_named(settings: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        Pairwise(**settings)
