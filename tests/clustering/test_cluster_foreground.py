from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.clustering.cluster_foreground import (
    cluster_precision,
    foreground_clusters,
    label_free_threshold,
    threshold_candidates,
)


def test_precision_equals_the_released_code(golden):
    arrays = golden("communities")
    maps = torch.from_numpy(arrays["cbfe_cluster_maps"])
    foreground = torch.from_numpy(arrays["cbfe_foreground"])
    actual = cluster_precision(maps, foreground, 10)
    np.testing.assert_allclose(actual.numpy(), arrays["cbfe_precision"], rtol=1e-12)
    assert torch.equal(cluster_precision(maps, foreground.bool(), 10), actual)


def test_precision_by_hand():
    maps = torch.tensor([[[0, 0], [0, 1]], [[0, 1], [1, -1]]])
    masks = torch.tensor([[[1, 0], [0, 1]], [[1, 0], [1, 1]]])
    # Cluster 0: 1/3 and 1/1. Cluster 1: 1/1 and 1/2. Cluster 2 never.
    actual = cluster_precision(maps, masks, 3)
    torch.testing.assert_close(
        actual, torch.tensor([2 / 3, 3 / 4, torch.nan]).double(), equal_nan=True
    )


@given(st.integers(0, 10_000))
def test_every_image_counts_alike(seed):
    rng = np.random.default_rng(seed)
    maps, masks = rng.integers(-1, 5, (4, 6, 5)), rng.random((4, 6, 5)) < 0.4
    expected = np.full(6, np.nan)
    for cluster in range(6):
        shares = [m[c == cluster].mean() for c, m in zip(maps, masks, strict=True) if cluster in c]
        if shares:
            expected[cluster] = np.mean(shares)
    actual = cluster_precision(torch.from_numpy(maps), torch.from_numpy(masks), 6)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12)


def test_many_blocks_equal_one(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 7, (9, 4, 4), generator=generator)
    masks = torch.rand(9, 4, 4, generator=generator) < 0.5
    whole = cluster_precision(maps, masks, 7)
    monkeypatch.setattr("leopart_kit.clustering.cluster_foreground._BLOCK", 40)
    torch.testing.assert_close(cluster_precision(maps, masks, 7), whole)


def test_a_threshold_is_reached_and_absent_clusters_are_background():
    precision = torch.tensor([0.4, 0.39, torch.nan, 1.0])
    assert foreground_clusters(precision, 0.4).tolist() == [True, False, False, True]


def test_candidates_of_the_search_by_labels():
    precision = torch.linspace(0, 1, 101)
    assert threshold_candidates(precision) == [0.55, 0.6, 0.65, 0.7, 0.75]
    with_absent = torch.cat([precision, torch.full((50,), torch.nan)])
    assert threshold_candidates(with_absent) == [0.55, 0.6, 0.65, 0.7, 0.75]
    assert threshold_candidates(precision, (0.5, 0.7), 0.1) == [0.5, 0.6, 0.7]
    assert threshold_candidates(torch.full((20,), 0.37)) == [0.35]


def test_the_label_free_threshold_by_hand():
    # Apart by 0.2 + 0.3 and 0.7 + 0.8 + 0.9: the largest gap of the group means.
    precision = torch.tensor([0.8, 0.2, torch.nan, 0.9, 0.3, 0.7])
    assert label_free_threshold(precision) == pytest.approx(0.7)
    assert label_free_threshold(torch.tensor([0.4, 0.4])) == pytest.approx(0.4)
    assert label_free_threshold(torch.tensor([0.1, 0.1, 0.1, 0.6])) == pytest.approx(0.6)


@given(st.integers(0, 10_000))
def test_the_label_free_threshold_leaves_the_least_spread_within_its_groups(seed):
    precision = torch.rand(15, generator=torch.Generator().manual_seed(seed)).double()

    def spread(threshold: float) -> float:
        groups = precision[precision < threshold], precision[precision >= threshold]
        return float(sum(((group - group.mean()) ** 2).sum() for group in groups))

    thresholds = precision.sort().values[1:].tolist()
    best = spread(label_free_threshold(precision))
    assert best == pytest.approx(min(map(spread, thresholds)))


def test_the_label_free_threshold_finds_objects_under_noise():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 20, (30, 16, 16), generator=generator)
    chance = torch.where(maps < 6, 0.75, 0.15)  # six clusters are objects
    masks = torch.rand(maps.shape, generator=generator) < chance
    precision = cluster_precision(maps, masks, 21)
    kept = foreground_clusters(precision, label_free_threshold(precision))
    assert kept.nonzero().flatten().tolist() == list(range(6))


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (
            torch.zeros(1, 2, 2).long(),
            torch.zeros(1, 2, 3).int(),
            r"got \[1, 2, 2\] and \[1, 2, 3\]",
        ),
        (torch.zeros(2, 2).long(), torch.zeros(2, 2).int(), r"must both be \[N, h, w\]"),
        (torch.full((1, 2, 2), 5), torch.zeros(1, 2, 2).int(), "id 5"),
        (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), r"torch.float32"),
        (torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), 255), "foreground holds 255"),
        (torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), -1), "foreground holds -1"),
        (torch.zeros(1, 2, 2).long(), torch.full((1, 2, 2), 0.5), "bool or integer"),
    ],
)
def test_bad_input(maps, masks, message):
    with pytest.raises(ValueError, match=message):
        cluster_precision(maps, masks, 5)


def test_bad_thresholds():
    nothing = torch.full((3,), torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        threshold_candidates(nothing)
    with pytest.raises(ValueError, match="NaN"):
        label_free_threshold(nothing)
    with pytest.raises(ValueError, match=r"must rise within 0 … 1 .* \(0.75, 0.55\)"):
        threshold_candidates(torch.rand(5), (0.75, 0.55))
