from __future__ import annotations

import numpy as np
import pytest
import torch

from leopart_kit.metrics import segmentation_scores, summarize


def test_scores_by_hand() -> None:
    # Rows: class 0 (6 px), class 1 (4 px), class 2 (absent), class 3 (absent, but predicted).
    counts = torch.tensor([[4, 1, 1], [1, 3, 0], [0, 0, 0], [0, 0, 0]])
    scores = segmentation_scores(counts, torch.tensor([0, 1, 3]))
    assert scores.tp.tolist() == [4, 3, 0, 0]
    assert scores.fp.tolist() == [1, 1, 0, 1]
    assert scores.fn.tolist() == [2, 1, 0, 0]
    iou = [100 * 4 / 7, 100 * 3 / 5, 0, 0]
    assert scores.iou.tolist() == pytest.approx(iou)
    assert scores.miou == pytest.approx(sum(iou) / 4)
    assert scores.miou_present == pytest.approx(sum(iou) / 2)
    assert scores.miou_union == pytest.approx(sum(iou) / 3)
    assert scores.pixel_accuracy == pytest.approx(70)


def test_a_cluster_without_class_is_wrong_everywhere() -> None:
    counts = np.array([[5, 2], [1, 2]])
    scores = segmentation_scores(counts, np.array([0, -1]))
    assert scores.tp.tolist() == [5, 0]
    assert scores.fp.tolist() == [1, 0]
    assert scores.fn.tolist() == [2, 3]
    assert scores.pixel_accuracy == pytest.approx(50)
    assert segmentation_scores(counts, np.array([-1, -1])).miou == 0


def test_several_clusters_of_one_class_add_up() -> None:
    counts = np.array([[3, 4, 0], [0, 1, 2]])
    joined = segmentation_scores(np.array([[7, 0], [1, 2]]), np.array([0, 1]))
    split = segmentation_scores(counts, np.array([0, 0, 1]))
    assert split.iou.tolist() == joined.iou.tolist()
    assert split.pixel_accuracy == joined.pixel_accuracy


@pytest.mark.parametrize(
    ("counts", "matching", "message"),
    [
        ([[1, 1], [1, 1]], [0, 2], "class 2"),
        ([[1, 1], [1, 1]], [0, -2], "holds class -2"),
        ([[1, 1], [1, 1]], [0], "of 2 clusters"),
        ([[0, 0], [0, 0]], [0, 1], "no labelled pixel"),
    ],
)
def test_bad_input_is_explained(counts, matching, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmentation_scores(np.array(counts), np.array(matching))


def test_summary_uses_the_sample_deviation() -> None:
    assert summarize([1.0, 2.0, 6.0]) == (3.0, pytest.approx(7**0.5))
    assert summarize([4.0]) == (4.0, 0.0)
    with pytest.raises(ValueError, match="value 1 is nan"):
        summarize([1.0, float("nan")])
    with pytest.raises(ValueError, match="seed"):
        summarize([])
