"""Similarities from reduced tokens equal those of the tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leopart_kit.report.reduced_tokens import pca_colours, reduce_tokens


def cosine(tokens: np.ndarray) -> np.ndarray:
    unit = torch.nn.functional.normalize(torch.from_numpy(tokens).double(), dim=1)
    return (unit @ unit.T).numpy()


def made(seed: int, number: int, dim: int, decay: float, offset: float) -> np.ndarray:
    """Tokens with a spectrum that falls off, around a common mean, of many lengths."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(number, dim)) * np.arange(1, dim + 1) ** -decay
    tokens = tokens @ np.linalg.qr(rng.normal(size=(dim, dim)))[0] + offset
    return (tokens * rng.uniform(1e-3, 1e3, (number, 1))).astype(np.float32)


@settings(max_examples=25, deadline=None)
@example(0, 177, 8, 0.0, 0.0)
@given(
    st.integers(0, 99),
    st.integers(1, 600),
    st.sampled_from([3, 8, 48, 200, 384]),
    st.sampled_from([0.0, 0.5, 1.5]),
    st.sampled_from([0.0, 0.1, 5.0]),
)
def test_similarities_are_those_of_torch(
    seed: int, number: int, dim: int, decay: float, offset: float
):
    tokens = made(seed, number, dim, decay, offset)
    reduced = reduce_tokens(tokens, 10**6)
    kept = reduced.values * reduced.scales
    gap = np.abs(kept @ kept.T - cosine(tokens)).max()
    # With all components kept, what is left is half a step of each: Cauchy-Schwarz, both sides.
    half = float(np.linalg.norm(reduced.scales / 2))
    rounding = 2 * half + half**2 + 1e-5
    assert gap <= max(0.02, rounding)
    assert reduced.error <= max(0.012, rounding)
    assert reduced.values.nbytes <= number * dim


def test_a_small_budget_is_kept_and_its_error_told():
    tokens = made(0, 500, 384, 0.0, 0.0)
    reduced = reduce_tokens(tokens, 500 * 20)
    assert reduced.values.shape == (500, 20)
    kept = reduced.values * reduced.scales
    assert np.abs(kept @ kept.T - cosine(tokens)).max() == pytest.approx(reduced.error, abs=1e-3)
    assert reduced.error > 0.02


def test_a_token_of_length_zero_is_similar_to_none():
    tokens = np.vstack([np.zeros(8), np.eye(8)]).astype(np.float32)
    kept = reduce_tokens(tokens, 1000)
    assert not kept.values[0].any()


@pytest.mark.parametrize(
    ("tokens", "budget", "wrong"),
    [
        (np.zeros((0, 3)), 9, "n, D"),
        (np.full((2, 3), np.nan), 9, "finite"),
        (np.ones((5, 3)), 4, "5 tokens"),
    ],
)
def test_what_cannot_be_reduced_is_said(tokens: np.ndarray, budget: int, wrong: str):
    with pytest.raises(ValueError, match=wrong):
        reduce_tokens(tokens, budget)


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_pca_colours_are_the_same_again_and_tell_groups_apart(dim: int):
    tokens = made(1, 60, dim, 0.0, 0.0)
    colours = pca_colours(tokens)
    assert colours.shape == (60, 3)
    np.testing.assert_array_equal(colours, pca_colours(tokens * 3))
