from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering import seeding
from leopart_kit.clustering.seeding import SeedDraws, greedy_kmeans_plus_plus, sampled_rows


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 99), st.booleans())
def test_a_sample_has_different_rows_in_order(total: int, size: int, seed: int, large: bool):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeding, "_PERMUTED", 0 if large else total)
        rows = sampled_rows(total, min(size, total), generator(seed))
    assert len(rows) == min(size, total)
    assert rows[0] >= 0
    assert rows[-1] < total
    assert (rows.diff() > 0).all()


def test_a_sample_of_a_large_set_takes_every_row_as_often(monkeypatch: pytest.MonkeyPatch):
    """Of 10 rows 4: each in 40 % of 4,000 samples, each pair in 2/15 of them; 5 deviations."""
    monkeypatch.setattr(seeding, "_PERMUTED", 0)
    drawn = generator(0)
    chosen = torch.zeros(4000, 10)
    for row in chosen:
        row[sampled_rows(10, 4, drawn)] = 1
    together = chosen.T @ chosen / len(chosen)
    assert (together.diagonal() - 0.4).abs().max() < 5 * (0.4 * 0.6 / 4000) ** 0.5
    pairs = together[~torch.eye(10, dtype=torch.bool)]
    assert (pairs - 2 / 15).abs().max() < 5 * (2 / 15 * 13 / 15 / 4000) ** 0.5


def test_seeds_are_the_draws_that_lower_the_distances_most():
    """Points 0, 1, 10 and 11 on a line; the first is point 1, at 0.

    Masses are 0, 1, 100 and 121 of 222. The trials 0.3 · 222 and 0.9 · 222 fall on 10 and 11. With
    10 the distances that remain are 1, 0, 0, 1; with 11 they are 1, 0, 1, 0: the first of equals.
    """
    points = torch.tensor([[1.0], [0.0], [10.0], [11.0]])
    draws = SeedDraws(1, torch.tensor([[0.3, 0.9]], dtype=torch.float64))
    assert greedy_kmeans_plus_plus(points, draws).tolist() == [[0.0], [10.0]]
