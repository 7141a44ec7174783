from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch

from leopart_kit.data import Sample, SegmentationDataset
from leopart_kit.data.label_sets import LabelSet
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import (
    confusion_of_classes,
    count_labels,
    resolution_name,
    score_classes,
    score_table,
)
from leopart_kit.metrics.scores import Rule, match_clusters


def dataset_of(masks: Sequence[np.ndarray], num_classes: int) -> SegmentationDataset:
    """A set whose masks are these arrays; it has no images."""
    names = tuple(f"class {index}" for index in range(num_classes))
    samples = [Sample(str(index), "none", ("none",)) for index in range(len(masks))]

    def read_mask(sample: Sample) -> np.ndarray:
        return masks[int(sample.name)].astype(np.int64)

    return SegmentationDataset(
        "arrays", "val", ".", LabelSet("arrays", names, True), samples, read_mask
    )


def count_maps(dataset, indices, maps, num_clusters: int, **options):
    """`count_labels` of cluster maps `[N, h, w]` by seed."""

    def predict(row: int, sizes):
        return [
            {seed: resize_labels(torch.from_numpy(m[row]), size) for seed, m in maps.items()}
            for size in sizes
        ]

    return count_labels(dataset, indices, predict, tuple(maps), num_clusters, **options)


MASKS = [
    np.array([[0, 0, 1, 1], [0, 0, 1, 255]]),
    np.array([[1, 1], [0, 255]]),
]
MAPS = {7: np.array([[[0, 1]], [[2, 1]]], np.int32)}  # 1 x 2 patches, K = 3


def count(**options):
    options = {"resolution": (4, 4), "score_resolution": (2, 2), **options}
    return count_maps(dataset_of(MASKS, 2), [0, 1], MAPS, 3, **options)


def test_counts_by_hand_at_both_resolutions():
    counts = count()
    assert list(counts) == ["2x2", "full"]
    # Full size: image 0 has clusters 0 0 1 1 in both rows, image 1 clusters 2 1.
    assert counts["full"][7].image_counts(0).tolist() == [[4, 0, 0], [0, 3, 0]]
    assert counts["full"][7].image_counts(1).tolist() == [[0, 0, 1], [0, 1, 1]]
    # 2 x 2: nearest takes columns 0, 2 and rows 0, 1 of image 0, and image 1 as it is.
    assert counts["2x2"][7].image_counts(0).tolist() == [[2, 0, 0], [0, 2, 0]]
    assert counts["2x2"][7].image_counts(1).tolist() == [[0, 0, 1], [0, 1, 1]]


def test_masks_pass_through_the_resolution_of_the_network():
    # 4 columns to 1 keeps column 0 only, so class 1 of image 0 is lost on the way.
    counts = count(resolution=(1, 1))["2x2"][7]
    assert counts.image_counts(0).tolist() == [[2, 2, 0], [0, 0, 0]]


def test_a_missing_mask_is_named():
    dataset = SegmentationDataset(
        "bare", "val", ".", LabelSet("two", ("a", "b")), [Sample("cat", "x")], lambda _: MASKS[0]
    )
    with pytest.raises(ValueError, match="cat"):
        count_maps(dataset, [0], {0: MAPS[7][:1]}, 3, resolution=(4, 4), score_resolution=(2, 2))


def test_a_table_by_hand():
    classes = {7: torch.tensor([0, 1, 1])}
    table, outcomes = score_table(count()["full"], classes, ("ground", "cat"), resolution="full")
    # Class 0: tp 4, fn 1 (cluster 2 of image 1), fp 0. Class 1: tp 3 + 2, fp 1, fn 0.
    assert [score.iou for score in table.per_class] == pytest.approx([80.0, 100 * 5 / 6])
    assert [score.pixels for score in table.per_class] == [5, 5]
    assert table.miou.mean == pytest.approx((80 + 100 * 5 / 6) / 2)
    assert table.miou.per_seed == (table.miou.mean,)
    assert table.miou.std == 0
    assert table.pixel_accuracy.mean == pytest.approx(90.0)
    assert outcomes.shape == (1, 2, 2, 3)
    assert outcomes[0].sum(axis=0).tolist() == [[4, 0, 1], [5, 1, 0]]


def test_intervals_hold_the_estimate_and_widen_with_differing_images():
    classes = {7: torch.tensor([0, 1, 1])}
    table, _ = score_table(count()["full"], classes, ("ground", "cat"), resolution="full")
    for summary in (table.miou, table.miou_present, table.pixel_accuracy):
        low, high = summary.ci95
        assert low < summary.mean < high
    low, high = table.per_class[0].ci95
    assert low < 80 < high


def test_seeds_are_averaged_with_the_sample_deviation():
    maps = {0: MAPS[7], 1: np.zeros_like(MAPS[7])}
    counts = count_maps(
        dataset_of(MASKS, 2), [0, 1], maps, 3, resolution=(4, 4), score_resolution=(2, 2)
    )["full"]
    classes = {0: torch.tensor([0, 1, 1]), 1: torch.tensor([0, 1, 1])}
    table, _ = score_table(counts, classes, ("ground", "cat"), resolution="full")
    # Seed 1 says class 0 everywhere: IoU 5/10 and 0, accuracy 5/10.
    assert table.pixel_accuracy.per_seed == pytest.approx((90.0, 50.0))
    assert table.pixel_accuracy.mean == pytest.approx(70.0)
    assert table.pixel_accuracy.std == pytest.approx(40 / 2**0.5)
    assert table.per_class[0].iou == pytest.approx(65.0)


def test_the_confusion_has_a_column_for_no_class():
    counts = torch.tensor([[5, 1, 2, 0], [0, 4, 3, 6]])
    confusion = confusion_of_classes(counts, torch.tensor([0, 1, -1, 1]))
    assert confusion.tolist() == [[5, 1, 2], [0, 10, 3]]
    assert confusion.sum() == counts.sum()


def test_resolution_names():
    assert resolution_name((100, 80)) == "100x80"
    assert resolution_name(None) == "full"


@pytest.mark.parametrize(
    ("num_clusters", "rule"), [(21, "hungarian_iou"), (100, "many_to_one_precision")]
)
def test_maps_of_the_released_code_score_as_there(golden, num_clusters: int, rule: Rule):
    """From reference cluster maps to mIoU; `overclustering_end_to_end.npz` without its tokens."""
    figures = golden("overclustering_maps")
    masks = figures["masks"]
    maps = {0: figures[f"assignment_K{num_clusters}"].astype(np.int32)}
    counts = count_maps(
        dataset_of(masks, 21),
        range(len(masks)),
        maps,
        num_clusters,
        resolution=(100, 100),
        score_resolution=(100, 100),
    )["100x100"]
    classes = {0: match_clusters(counts[0].total(), rule, 0)}
    names = [str(index) for index in range(21)]
    table, _ = score_table(counts, classes, names, resolution="100x100")
    expected = float(figures[f"assignment_miou_fraction_K{num_clusters}"])
    assert table.miou.mean / 100 == pytest.approx(expected, rel=1e-9)


def test_no_interval_of_a_perfect_score_rounds_above_100():
    generator = np.random.default_rng(0)
    for _ in range(20):
        targets = [generator.integers(0, 3, (1, size)) for size in generator.integers(5, 99, 4)]
        maps = {0: np.stack([np.resize(target, (1, 99)) for target in targets]).astype(np.int32)}
        masks = [np.resize(target, (1, 99)) for target in targets]
        counts = count_maps(
            dataset_of(masks, 3), range(4), maps, 3, resolution=(1, 99), score_resolution=(1, 99)
        )["full"]
        table, _ = score_table(counts, {0: torch.arange(3)}, ("a", "b", "c"), resolution="full")
        assert table.pixel_accuracy.ci95 == (100.0, 100.0)
        assert table.miou_present.ci95 == (100.0, 100.0)


def test_seeds_of_one_draw_are_predicted_once_and_scored_as_if_each_were():
    masks = [np.array([[0, 1], [1, 255]]), np.array([[1, 1], [0, 0]])]
    dataset, seeds, asked = dataset_of(masks, 2), (3, 5, 8), []

    def predict(row: int, sizes):
        asked.append(row)
        return [{seed: torch.full(size, row) for seed in (1, *seeds)} for size in sizes]

    score = partial(
        score_classes, dataset, [0, 1], predict, seeds, resolution=(2, 2), score_resolution=(2, 2)
    )
    each, alike = score(), score(draw=lambda seed: 1)
    assert asked == [0, 1, 0, 1]
    assert alike.scores == each.scores
    assert len(alike.scores[0].miou.per_seed) == 3
    assert all(
        np.array_equal(alike.per_image[name], each.per_image[name]) for name in each.per_image
    )
