"""Votes worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.image_level.evaluation import knn_predict


def unit(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def test_weights_decide_between_one_near_and_two_far():
    """At 0° class 0; at 40° twice class 1. Cosines 1 and 0.766.

    exp(1 / T) against 2 · exp(0.766 / T): equal where 0.234 / T = ln 2, T = 0.3375.
    """
    train = torch.tensor([unit(0), unit(40), unit(40)]) * 3  # lengths do not count
    labels = torch.tensor([0, 1, 1])
    test = torch.tensor([unit(0)]) * 0.1
    equal = (1 - math.cos(math.radians(40))) / math.log(2)
    for temperature, expected in ((0.99 * equal, 0), (1.01 * equal, 1)):
        found = knn_predict(train, labels, test, 2, neighbours=3, temperature=temperature)
        assert found.tolist() == [expected]
    assert knn_predict(train, labels, test, 2, neighbours=1, temperature=9.0).tolist() == [0]


def test_only_the_nearest_vote():
    train = torch.tensor([unit(d) for d in (0, 10, 20, 25, 30)])
    labels = torch.tensor([2, 2, 1, 1, 1])
    test = torch.tensor([unit(0), unit(30)])
    votes = knn_predict(train, labels, test, 3, neighbours=3, temperature=100.0)
    assert votes.tolist() == [2, 1]
    all_votes = knn_predict(train, labels, test, 3, neighbours=5, temperature=100.0)
    assert all_votes.tolist() == [1, 1]


def test_a_small_temperature_does_not_overflow():
    train, labels = torch.eye(3), torch.tensor([0, 1, 2])
    found = knn_predict(train, labels, torch.eye(3).flip(0), 3, neighbours=3, temperature=1e-4)
    assert found.tolist() == [2, 1, 0]


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 30), st.integers(1, 17))
def test_chunks_change_nothing(seed: int, num_train: int, num_test: int, chunk: int):
    generator = torch.Generator().manual_seed(seed)
    train = torch.randn(num_train, 6, generator=generator)
    test = torch.randn(num_test, 6, generator=generator)
    labels = torch.randint(0, 4, (num_train,), generator=generator)
    k = min(5, num_train)
    whole = knn_predict(train, labels, test, 4, neighbours=k)
    parts = knn_predict(train, labels, test, 4, neighbours=k, chunk_size=chunk)
    assert torch.equal(whole, parts)
    cosines = F.normalize(test) @ F.normalize(train).T
    best, rows = cosines.topk(k, dim=1)
    votes = torch.zeros(num_test, 4)
    for i in range(num_test):
        for cosine, row in zip(best[i], rows[i], strict=True):
            votes[i, labels[row]] += torch.exp(cosine / 0.07)
    assert torch.equal(votes.argmax(1), whole)


def test_half_precision_features_are_taken():
    train = torch.tensor([unit(0), unit(90)], dtype=torch.float16)
    found = knn_predict(train, torch.tensor([1, 0]), train, 2, neighbours=1)
    assert found.tolist() == [1, 0]


def test_more_neighbours_than_images():
    with pytest.raises(ValueError, match=r"knn\.neigh"):
        knn_predict(torch.eye(3), torch.arange(3), torch.eye(3), 3)
