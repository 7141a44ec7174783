from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.metrics.boundaries import BoundaryCounts, boundary_counts


def halves(height: int, width: int, column: int) -> torch.Tensor:
    """Class 1 from a column on."""
    ids = torch.zeros(height, width, dtype=torch.int64)
    ids[:, column:] = 1
    return ids


@pytest.mark.parametrize(("shift", "matched"), [(0, True), (3, True), (4, False), (-3, True)])
def test_a_line_within_the_tolerance(shift, matched):
    counts = boundary_counts(halves(10, 40, 20), halves(10, 40, 20 + shift), tolerance=3)
    assert counts == BoundaryCounts(10, 10 * matched, 10, 10 * matched)
    assert counts.f_measure == 100 * matched


def test_precision_and_recall_differ():
    target = halves(10, 60, 20)
    guess = target.clone()
    guess[:, 40:] = 2  # a second line, far from the true one
    counts = boundary_counts(target, guess, tolerance=5)
    assert (counts.precision, counts.recall) == (50, 100)
    assert counts.f_measure == pytest.approx(200 / 3)
    swapped = boundary_counts(guess, target, tolerance=5)
    assert (swapped.precision, swapped.recall) == (100, 50)


def test_distance_is_euclidean():
    target = torch.zeros(9, 9, dtype=torch.int64)
    guess = target.clone()
    target[0, 0], guess[3, 4] = 1, 1
    # Boundary pixels: (0, 0), and (2, 4), (3, 3), (3, 4); the nearest pair is 18 ** 0.5 apart.
    assert boundary_counts(target, guess, tolerance=4.2) == BoundaryCounts(3, 0, 1, 0)
    assert boundary_counts(target, guess, tolerance=4.3) == BoundaryCounts(3, 1, 1, 1)


def test_only_changes_count_not_ids():
    target = halves(10, 40, 20)
    assert boundary_counts(target, 7 - 3 * target, tolerance=0).f_measure == 100


def test_an_ignored_outline_still_marks_the_boundary():
    target = halves(10, 40, 20)
    target[:, 18:23] = 255
    counts = boundary_counts(target, halves(10, 40, 20), tolerance=3)
    assert (counts.target, counts.f_measure) == (10, 100)


def test_far_inside_ignored_regions_nothing_counts():
    target = torch.zeros(20, 60, dtype=torch.int64)
    target[:, 20:] = 255
    guess = halves(20, 60, 40)
    assert boundary_counts(target, guess, tolerance=16) == BoundaryCounts()
    assert boundary_counts(target, guess, tolerance=30).predicted == 20
    everything = torch.full((20, 60), 255)
    assert boundary_counts(everything, guess) == BoundaryCounts()


def test_no_boundary():
    flat, line = halves(5, 8, 8), halves(5, 8, 4)
    assert boundary_counts(flat, flat).f_measure == 100
    missed, invented = boundary_counts(line, flat), boundary_counts(flat, line)
    assert (missed.precision, missed.recall, missed.f_measure) == (0, 0, 0)
    assert (invented.precision, invented.recall, invented.f_measure) == (0, 0, 0)


def test_images_are_pooled():
    total = BoundaryCounts(10, 5, 20, 20) + BoundaryCounts(30, 15, 20, 0)
    assert total == BoundaryCounts(40, 20, 40, 20)
    assert (total.precision, total.recall, total.f_measure) == (50, 50, 50)


@given(st.integers(0, 10_000), st.integers(0, 5))
def test_matches_the_definition(seed, tolerance):
    rng = np.random.default_rng(seed)
    target, guess = (np.kron(rng.integers(0, 3, (3, 4)), np.ones((3, 3), int)) for _ in range(2))

    def boundary(ids: np.ndarray) -> np.ndarray:
        right = np.pad(ids[:, :-1] != ids[:, 1:], ((0, 0), (0, 1)))
        return np.argwhere(right | np.pad(ids[:-1] != ids[1:], ((0, 1), (0, 0))))

    true, guessed = boundary(target), boundary(guess)
    distances = np.linalg.norm(true[:, None] - guessed[None], axis=-1)
    near = distances <= tolerance + 1e-6
    assert boundary_counts(target, guess, tolerance=tolerance) == BoundaryCounts(
        predicted=len(guessed),
        predicted_near=int(near.any(axis=0).sum()),
        target=len(true),
        target_near=int(near.any(axis=1).sum()),
    )


@pytest.mark.parametrize(
    ("target", "prediction", "tolerance", "message"),
    [
        (torch.zeros(2, 3).long(), torch.zeros(3, 2).long(), 1, "size"),
        (torch.zeros(2).long(), torch.zeros(2).long(), 1, r"target.*\[H, W\]"),
        (torch.zeros(2, 2).long(), torch.zeros(2, 2), 1, "prediction"),
        (torch.zeros(2, 2).long(), torch.zeros(2, 2).long(), -1, "tolerance"),
    ],
)
def test_bad_input(target, prediction, tolerance, message):
    with pytest.raises(ValueError, match=message):
        boundary_counts(target, prediction, tolerance=tolerance)
