"""Which labels are kept: the same share of every class, one share inside the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.image_level.evaluation.low_shot import held_out_split, stratified_subset


@given(
    st.lists(st.integers(10, 60), min_size=1, max_size=5),
    st.integers(0, 100),
    st.floats(0.1, 1.0),
    st.floats(0.1, 1.0),
)
def test_shares_are_exact_and_nested(counts: list[int], seed: int, first: float, second: float):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    small, large = sorted((first, second))
    fewer, more = (stratified_subset(labels, share, seed) for share in (small, large))
    assert set(fewer) <= set(more)
    kept = np.bincount(labels[more], minlength=len(counts))
    exact = large * np.array(counts)
    assert (np.abs(kept - exact) <= 0.5 + 1e-6).all()
    assert len(set(more)) == len(more)
    assert np.array_equal(more, np.sort(more))


def test_one_percent_of_500_is_5():
    labels = np.repeat([0, 1], [500, 300])
    kept = stratified_subset(labels, 0.01, seed=0)
    assert np.bincount(labels[kept]).tolist() == [5, 3]
    assert not np.array_equal(kept, stratified_subset(labels, 0.01, seed=1))
    assert np.array_equal(stratified_subset(labels, 1.0, seed=3), np.arange(800))


def test_halves_are_rounded_up_whatever_binary_makes_of_them():
    labels = np.repeat([0], [5])
    assert len(stratified_subset(labels, 0.1, seed=0)) == 1
    assert len(stratified_subset(np.repeat([0], [15]), 0.1, seed=0)) == 2


def test_a_share_of_none_is_an_error():
    labels = np.repeat([0, 1], [100, 40])
    message = r"1 % of the 40 training images of 'cat' is none: use a fraction of at least 0.025"
    with pytest.raises(ValueError, match=message):
        stratified_subset(labels, 0.01, 0, ("ant", "cat"))
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        stratified_subset(labels, 1.5, 0)


def test_held_out_images_are_apart_and_cover_every_class():
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    fit, held_out = held_out_split(labels, 0.2, seed=5)
    assert sorted((*fit, *held_out)) == list(range(60))
    assert np.bincount(labels[held_out]).tolist() == [2, 4, 6]


def test_a_class_of_one_image_cannot_be_split():
    with pytest.raises(ValueError, match="'cat'"):
        held_out_split(np.array([0, 0, 0, 1]), 0.5, 0, ("ant", "cat"))
