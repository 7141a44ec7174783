"""Agreement of partitions, against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leopart_kit.image_level.evaluation import (
    adjusted_rand_index,
    agreement,
    contingency,
    normalized_mutual_information,
)

# Six images; classes 0 0 0 1 1 1, clusters 0 0 1 1 2 2.
COUNTS = np.array([[2, 1, 0], [0, 1, 2]])


def test_counts():
    labels, clusters = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert contingency(labels, clusters, 2, 3).tolist() == COUNTS.tolist()
    assert contingency(labels, clusters, 3, 4).tolist() == [[2, 1, 0, 0], [0, 1, 2, 0], [0] * 4]


def test_mutual_information_by_hand():
    """H(classes) = ln 2; H(clusters) = ln 3; H(joint) = 2 · 1/3 ln 3 + 2 · 1/6 ln 6."""
    joint = 2 / 3 * math.log(3) + 1 / 3 * math.log(6)
    mutual = math.log(2) + math.log(3) - joint
    expected = mutual / ((math.log(2) + math.log(3)) / 2)
    assert normalized_mutual_information(COUNTS) == pytest.approx(expected)


def test_rand_index_by_hand():
    """Pairs together in both: 1 + 1 = 2; in classes 3 + 3 = 6; in clusters 3 · 1; of 15."""
    expected = (2 - 6 * 3 / 15) / ((6 + 3) / 2 - 6 * 3 / 15)
    assert adjusted_rand_index(COUNTS) == pytest.approx(expected)
    assert expected == pytest.approx(0.8 / 3.3)


def test_accuracy_and_purity_by_hand():
    figures = agreement(COUNTS)
    assert figures.accuracy == pytest.approx(100 * 4 / 6)  # the middle cluster is left over
    assert figures.purity == pytest.approx(100 * 5 / 6)
    assert figures.nmi == pytest.approx(100 * normalized_mutual_information(COUNTS))


def test_hungarian_is_not_greedy():
    """Greedy would give cluster 0 to class 0 (5) and leave 0 for class 1; best is 4 + 4."""
    figures = agreement(np.array([[5, 4], [4, 0]]))
    assert figures.accuracy == pytest.approx(100 * 8 / 13)
    assert figures.purity == pytest.approx(100 * 9 / 13)


def test_independent_partitions_agree_by_chance_alone():
    independent = np.array([[2, 2], [2, 2]])
    assert normalized_mutual_information(independent) == pytest.approx(0, abs=1e-12)
    # Together in both 4, expected 12 · 12 / 28: below chance.
    assert adjusted_rand_index(independent) == pytest.approx((4 - 144 / 28) / (12 - 144 / 28))


@pytest.mark.parametrize("counts", [[[7]], [[1, 0], [0, 1]], [[3, 0, 0], [0, 2, 0], [0, 0, 1]]])
def test_equal_partitions_agree_fully(counts: list[list[int]]):
    assert agreement(np.array(counts)) == pytest.approx((100, 100, 100, 100))


def test_one_cluster_says_nothing():
    figures = agreement(np.array([[4], [4]]))
    assert figures.nmi == 0
    assert figures.ari == pytest.approx(0)
    assert figures.accuracy == 50


@given(hnp.arrays(np.int64, (3, 4), elements=st.integers(0, 20)), st.permutations(range(4)))
def test_names_of_clusters_do_not_count(counts: np.ndarray, order: list[int]):
    counts[0, 0] += 1
    renamed = agreement(counts[:, order])
    assert renamed == pytest.approx(agreement(counts))
    assert renamed.accuracy <= renamed.purity + 1e-9
    assert 0 <= renamed.nmi <= 100
    for measure in (normalized_mutual_information, adjusted_rand_index):
        assert measure(counts.T) == pytest.approx(measure(counts))


@pytest.mark.parametrize(
    ("labels", "clusters", "message"),
    [
        ([], [], "N of 1 or more"),
        ([0, 1], [0], "N of 1 or more"),
        ([0, 2], [0, 0], "class ids"),
        ([0, 1], [0, -1], "cluster ids"),
    ],
)
def test_wrong_ids(labels: list[int], clusters: list[int], message: str):
    with pytest.raises(ValueError, match=message):
        contingency(np.array(labels, int), np.array(clusters, int), 2, 3)
