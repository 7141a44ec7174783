from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.metrics import ConfusionMatrix, PerImageCounts

CLASSES, CLUSTERS = 4, 6


@st.composite
def pixels(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Targets, some of them ignored, and predictions."""
    size = draw(st.integers(0, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    target = generator.choice([0, 1, 2, 3, 255], size)
    return target, generator.integers(0, CLUSTERS, size)


def count(target: np.ndarray, prediction: np.ndarray) -> torch.Tensor:
    matrix = ConfusionMatrix(CLASSES, CLUSTERS)
    matrix.update(target, prediction)
    return matrix.counts


def test_counts_by_hand() -> None:
    matrix = ConfusionMatrix(2, 3)
    matrix.update(torch.tensor([[0, 0], [1, 255]]), torch.tensor([[2, 2], [0, 1]]))
    matrix.update(np.array([1], dtype=np.uint8), np.array([0], dtype=np.int16))
    assert matrix.counts.tolist() == [[0, 0, 2], [2, 0, 0]]
    assert matrix.counts.dtype == torch.int64


@given(pixels(), pixels())
def test_merging_equals_counting_together(first, second) -> None:
    one, two = ConfusionMatrix(CLASSES, CLUSTERS), ConfusionMatrix(CLASSES, CLUSTERS)
    one.update(*first)
    two.update(*second)
    together = count(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
    assert torch.equal(one.merge(two).counts, together)
    assert torch.equal(one.counts, together)


@given(pixels(), st.randoms(use_true_random=False))
def test_order_of_pixels_does_not_matter_and_names_of_clusters_permute(data, random) -> None:
    target, prediction = data
    counts = count(target, prediction)
    order = random.sample(range(len(target)), len(target))
    assert torch.equal(counts, count(target[order], prediction[order]))
    names = np.array(random.sample(range(CLUSTERS), CLUSTERS))
    assert torch.equal(counts, count(target, names[prediction])[:, names])


@given(pixels())
def test_ignored_pixels_leave_no_trace(data) -> None:
    target, prediction = data
    kept = target != 255
    counts = count(target, prediction)
    assert torch.equal(counts, count(target[kept], prediction[kept]))
    assert int(counts.sum()) == int(kept.sum())
    # Not even a prediction out of range, such as a padding value, is read there.
    assert torch.equal(counts, count(target, np.where(kept, prediction, 9999)))


def test_blocks_of_a_large_image_add_up() -> None:
    generator = np.random.default_rng(0)
    target = generator.integers(0, CLASSES, (1000, 700)).astype(np.uint8)
    prediction = generator.integers(0, CLUSTERS, (1000, 700)).astype(np.int32)
    expected = np.zeros((CLASSES, CLUSTERS), dtype=np.int64)
    np.add.at(expected, (target, prediction), 1)
    assert np.array_equal(count(target, prediction).numpy(), expected)


@pytest.mark.parametrize(
    ("target", "prediction", "message"),
    [
        ([0, 4], [0, 0], r"target.*id 4"),
        ([0, -1], [0, 0], r"target holds id -1"),
        ([0, 1], [0, 6], r"prediction.*id 6"),
        ([0, 1], [0, -2], r"prediction holds id -2"),
        ([0, 1], [0], r"differ in shape"),
        ([0.0, 1.0], [0, 1], r"target.*float64"),
    ],
)
def test_bad_ids_are_named_and_change_nothing(target, prediction, message) -> None:
    matrix = ConfusionMatrix(CLASSES, CLUSTERS)
    with pytest.raises(ValueError, match=message):
        matrix.update(np.array(target), np.array(prediction))
    assert int(matrix.counts.sum()) == 0


def test_other_ignore_index() -> None:
    matrix = ConfusionMatrix(2, 2, ignore_index=-1)
    matrix.update(np.array([-1, 0, 1]), np.array([0, 1, 1]))
    assert matrix.counts.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match="255"):
        matrix.update(np.array([255]), np.array([0]))


def test_matrices_of_other_sizes_do_not_merge() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\].*\[2, 2\]"):
        ConfusionMatrix(2, 2).merge(ConfusionMatrix(2, 3))
    with pytest.raises(ValueError, match="at least 1"):
        ConfusionMatrix(2, 0)


def test_per_image_outcomes_by_hand() -> None:
    images = PerImageCounts(3, 4)
    images.update(np.array([[0, 0], [1, 255]]), np.array([[0, 1], [1, 3]]))
    images.update(np.array([255]), np.array([0]))
    images.update(np.array([2, 2, 1]), np.array([3, 2, 2]))
    # Cluster 0 is class 0, 1 is class 1, 2 is class 2, 3 is nothing.
    tp, fp, fn = np.moveaxis(images.outcomes(np.array([0, 1, 2, -1])), 2, 0)
    assert tp.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert fp.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert fn.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert images.image_counts(2).tolist() == [[0] * 4, [0, 0, 1, 0], [0, 0, 1, 1]]


@given(st.lists(pixels(), min_size=1, max_size=5))
def test_per_image_counts_sum_to_the_confusion_matrix(images) -> None:
    matrix = ConfusionMatrix(CLASSES, CLUSTERS)
    first, second = PerImageCounts(CLASSES, CLUSTERS), PerImageCounts(CLASSES, CLUSTERS)
    for index, image in enumerate(images):
        matrix.update(*image)
        (first if index < 2 else second).update(*image)
    merged = first.merge(second)
    assert len(merged) == len(images)
    assert torch.equal(merged.total(), matrix.counts)


def test_thousands_of_images_stay_small() -> None:
    generator = np.random.default_rng(0)
    images = PerImageCounts(171, 1000)
    for _ in range(20):
        target = np.repeat(generator.integers(0, 171, 8), 500)
        images.update(target, np.repeat(generator.integers(0, 1000, 40), 100))
    stored = sum(array.nbytes for array in images._pairs + images._pixels)
    assert stored <= 20 * 48 * 8
