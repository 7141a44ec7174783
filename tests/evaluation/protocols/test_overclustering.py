from __future__ import annotations

import dataclasses

import pytest
import torch

from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.metrics.scores import match_clusters


def test_the_defaults_are_the_papers():
    protocol = dataclasses.asdict(Overclustering())
    assert protocol["resolution"] == (448, 448)
    assert protocol["score_resolution"] == (100, 100)
    assert protocol["seeds"] == (0, 1, 2, 3, 4)
    assert (protocol["standardize"], protocol["pca_dim"]) == (True, 50)
    assert (protocol["num_iterations"], protocol["num_restarts"]) == (100, 5)


def test_the_rule_follows_the_number_of_clusters():
    assert Overclustering().resolve_num_clusters(21) == 21
    assert Overclustering().resolve_rule(21) == "hungarian_iou"
    assert Overclustering(num_clusters=21).resolve_rule(21) == "hungarian_iou"
    assert Overclustering(num_clusters=5).resolve_rule(21) == "hungarian_iou"
    assert Overclustering(num_clusters=22).resolve_rule(21) == "many_to_one_precision"
    forced = Overclustering(num_clusters=500, matching="hungarian_count")
    assert forced.resolve_rule(21) == "hungarian_count"


def test_without_classes_there_are_twenty_clusters_unless_it_is_said():
    assert Overclustering().resolve_num_clusters(0) == 20
    assert Overclustering(num_clusters=7).resolve_num_clusters(0) == 7


COUNTS = torch.tensor([[50, 30, 9], [10, 35, 5]])
"""Class 0 has 89 pixels and class 1 has 50; the clusters have 60, 65 and 14."""


@pytest.mark.parametrize(
    ("rule", "unmatched", "expected"),
    [
        # IoU of (0, 0) 50/99 and (1, 1) 35/80 beat (0, 1) 30/124 and (1, 0) 10/100.
        ("hungarian_iou", 0, [0, 1, 0]),
        ("hungarian_iou", -1, [0, 1, -1]),
        ("hungarian_count", -1, [0, 1, -1]),
        # Cluster 1 holds more of class 1 than of class 0, cluster 2 more of class 0.
        ("many_to_one_precision", -1, [0, 1, 0]),
        # IoU of cluster 2: 9/94 with class 0, 5/59 with class 1.
        ("many_to_one_iou", -1, [0, 1, 0]),
    ],
)
def test_named_rules_match_as_worked_out_by_hand(rule, unmatched, expected):
    assert match_clusters(COUNTS, rule, unmatched).tolist() == expected


def test_count_and_iou_rules_differ_where_sizes_do():
    # Counts: 4 + 50 > 12 + 41. IoU: 4/57 + 50/103 = 0.556 < 12/66 + 41/95 = 0.613.
    counts = torch.tensor([[4, 12], [41, 50]])
    assert match_clusters(counts, "hungarian_count", 0).tolist() == [0, 1]
    assert match_clusters(counts, "hungarian_iou", 0).tolist() == [1, 0]
    assert match_clusters(counts, "many_to_one_precision", 0).tolist() == [1, 1]
