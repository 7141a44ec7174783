from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.metrics import (
    ConfusionMatrix,
    match_hungarian,
    match_many_to_one,
    segmentation_scores,
)

RULES = {
    "hungarian": match_hungarian,
    "many_to_one_iou": lambda counts: match_many_to_one(counts, "iou"),
    "many_to_one_precision": match_many_to_one,
}


@st.composite
def tables(draw: st.DrawFn, max_classes: int = 4, max_clusters: int = 5) -> np.ndarray:
    """Counts with unequal cells, so that no two answers tie."""
    shape = draw(st.integers(1, max_classes)), draw(st.integers(1, max_clusters))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return generator.integers(1, 10**6, shape)


def iou(counts: np.ndarray) -> np.ndarray:
    return counts / (counts.sum(0) + counts.sum(1, keepdims=True) - counts)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", [0, 1, 2])
def test_leopart_rules_equal_the_released_evaluation(golden, rule: str, case: int) -> None:
    figures = golden("matching")
    prediction = figures[f"pred_{case}"]
    matrix = ConfusionMatrix(
        int(figures[f"num_classes_{case}"]), int(figures[f"num_clusters_{case}"])
    )
    matrix.update(figures[f"gt_{case}"], prediction)
    cluster_to_class = RULES[rule](matrix.counts)
    remapped = cluster_to_class.numpy()[prediction]
    assert np.array_equal(remapped, figures[f"{rule}_remapped_{case}"])
    scores = segmentation_scores(matrix.counts, cluster_to_class)
    assert scores.miou / 100 == pytest.approx(figures[f"{rule}_miou_{case}"], rel=1e-12)
    for name in ("tp", "fp", "fn"):
        assert np.array_equal(getattr(scores, name).numpy(), figures[f"{rule}_{name}_{case}"])


def test_count_rule_equals_the_released_stego_metric(golden) -> None:
    figures = golden("count_hungarian")
    matrix = ConfusionMatrix(27, 27, ignore_index=int(figures["ignore_value"]))
    matrix.update(figures["gt"], figures["pred"])
    cluster_to_class = match_hungarian(matrix.counts, "count", unmatched=-1)
    assert np.array_equal(cluster_to_class.numpy(), figures["assignment"])
    scores = segmentation_scores(matrix.counts, cluster_to_class)
    # The released metric computes in float32.
    assert scores.miou_union == pytest.approx(float(figures["miou_percent"]), rel=1e-6)
    assert scores.pixel_accuracy == pytest.approx(float(figures["accuracy_percent"]), rel=1e-6)


@pytest.mark.parametrize("num_clusters", [21, 100])
def test_overclustering_of_stored_maps_equals_the_released_figure(golden, num_clusters) -> None:
    figures = golden("overclustering_maps")
    maps = figures[f"assignment_K{num_clusters}"]
    nearest = np.arange(100) * 16 // 100
    matrix = ConfusionMatrix(21, num_clusters)
    matrix.update(figures["masks"], maps[:, nearest][:, :, nearest])
    match = match_hungarian if num_clusters == 21 else match_many_to_one
    scores = segmentation_scores(matrix.counts, match(matrix.counts))
    expected = float(figures[f"assignment_miou_fraction_K{num_clusters}"])
    assert scores.miou / 100 == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("criterion", ["iou", "count"])
@given(counts=tables())
def test_hungarian_is_as_good_as_trying_every_pairing(criterion, counts: np.ndarray) -> None:
    gain = iou(counts) if criterion == "iou" else counts
    classes, clusters = counts.shape
    if classes <= clusters:
        pairings = itertools.permutations(range(clusters), classes)
        best = max(sum(gain[c, k] for c, k in enumerate(p)) for p in pairings)
    else:
        pairings = itertools.permutations(range(classes), clusters)
        best = max(sum(gain[c, k] for k, c in enumerate(p)) for p in pairings)
    chosen = match_hungarian(counts, criterion, unmatched=-1).numpy()
    matched = np.flatnonzero(chosen >= 0)
    assert len(set(chosen[matched])) == len(matched) == min(classes, clusters)
    assert gain[chosen[matched], matched].sum() == pytest.approx(best)


@given(counts=tables())
def test_unmatched_clusters_take_the_class_asked_for(counts: np.ndarray) -> None:
    wrong = match_hungarian(counts, unmatched=-1)
    background = match_hungarian(counts)
    assert torch.equal(background, torch.where(wrong < 0, 0, wrong))


@given(counts=tables())
def test_many_to_one_is_best_for_every_cluster(counts: np.ndarray) -> None:
    for cluster in range(counts.shape[1]):
        precision = counts[:, cluster] / counts[:, cluster].sum()
        chosen = int(match_many_to_one(counts)[cluster])
        assert precision[chosen] == precision.max()
        chosen = int(match_many_to_one(counts, "iou")[cluster])
        assert iou(counts)[chosen, cluster] == iou(counts)[:, cluster].max()


@pytest.mark.parametrize("rule", RULES)
@given(counts=tables(), random=st.randoms(use_true_random=False))
def test_permuted_clusters_permute_the_answer(rule, counts: np.ndarray, random) -> None:
    order = random.sample(range(counts.shape[1]), counts.shape[1])
    assert torch.equal(RULES[rule](counts[:, order]), RULES[rule](counts)[order])


def test_ties_and_clusters_without_pixels_go_to_the_lowest_class() -> None:
    counts = np.array([[0, 0, 1], [5, 0, 2], [5, 0, 3]])
    assert match_many_to_one(counts).tolist() == [1, 0, 2]
    assert match_many_to_one(counts, "iou").tolist()[:2] == [1, 0]


def test_iou_and_count_can_disagree() -> None:
    # Class 1 is rare: its overlap is small in pixels and large as IoU.
    counts = np.array([[100, 60], [0, 50]])
    assert match_hungarian(counts, "count").tolist() == [0, 1]
    counts = np.array([[90, 100], [0, 20]])
    assert match_many_to_one(counts).tolist() == [0, 0]
    assert match_hungarian(counts).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: match_hungarian(np.ones((2, 2), int), "precision"), "'iou' or 'count'"),  # type: ignore[arg-type]
        (lambda: match_many_to_one(np.ones((2, 2), int), "count"), "'precision' or 'iou'"),  # type: ignore[arg-type]
        (lambda: match_hungarian(np.ones((2, 2), int), unmatched=2), "unmatched"),
        (lambda: match_hungarian(np.ones((2, 2))), "counts"),
        (lambda: match_many_to_one(np.ones(3, int)), r"got shape \[3\]"),
        (lambda: match_many_to_one(-np.ones((2, 2), int)), "-1"),
    ],
)
def test_bad_input_is_explained(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
