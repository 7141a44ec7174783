from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.metrics import (
    PerImageCounts,
    bootstrap_intervals,
    paired_bootstrap,
    segmentation_scores,
)


def make_images(seed: int, num_images: int = 40, flips: float = 0.3) -> PerImageCounts:
    """Images of three classes whose prediction is wrong for a share of pixels."""
    generator = np.random.default_rng(seed)
    images = PerImageCounts(3, 3)
    for _ in range(num_images):
        target = generator.integers(0, 3, 200)
        noise = generator.random(200) < flips * generator.random()
        images.update(target, np.where(noise, (target + 1) % 3, target))
    return images


def outcomes(seed: int, **kwargs) -> np.ndarray:
    return make_images(seed, **kwargs).outcomes(np.arange(3))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 40))
def test_intervals_hold_the_score_of_the_whole_set(seed: int, num_images: int) -> None:
    images = make_images(seed, num_images)
    scores = segmentation_scores(images.total(), np.arange(3))
    intervals = bootstrap_intervals(images.outcomes(np.arange(3)), num_resamples=300)
    for name in ("miou", "miou_present", "miou_union", "pixel_accuracy"):
        low, high = getattr(intervals, name)
        assert low < getattr(scores, name) < high
    assert (intervals.iou[:, 0] < scores.iou.numpy()).all()
    assert (intervals.iou[:, 1] > scores.iou.numpy()).all()


def test_interval_of_accuracy_is_that_of_the_normal_approximation() -> None:
    # Images of equal size: the accuracy is a plain mean over images.
    right = np.random.default_rng(0).integers(40, 100, 400)
    counts = np.zeros((400, 1, 3), dtype=np.int64)
    counts[:, 0, 0], counts[:, 0, 2] = right, 100 - right
    low, high = bootstrap_intervals(counts, num_resamples=4000).pixel_accuracy
    half = 1.96 * right.std() / 20
    assert low == pytest.approx(right.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(right.mean() + half, abs=0.1 * half)


def test_a_class_of_one_image_keeps_its_score_in_every_resample() -> None:
    counts = np.zeros((30, 2, 3), dtype=np.int64)
    counts[:, 0, 0] = 10
    counts[3, 1] = [60, 20, 20]
    intervals = bootstrap_intervals(counts, num_resamples=500)
    assert intervals.iou[1] == pytest.approx([60, 60])
    assert intervals.miou == pytest.approx((80, 80))


def test_one_image_has_no_interval_and_no_p_value() -> None:
    one, other = outcomes(0, num_images=1), outcomes(0, num_images=1, flips=0.9)
    assert np.isnan([bootstrap_intervals(one).miou, bootstrap_intervals(one).pixel_accuracy]).all()
    assert np.isnan(bootstrap_intervals(one).iou).all()
    paired = paired_bootstrap(one, other).miou
    assert np.isfinite(paired.difference)
    assert np.isnan([*paired.interval, paired.p_value]).all()


def test_seeds_share_the_resampled_images() -> None:
    one = outcomes(0)
    thrice = bootstrap_intervals(np.stack([one, one, one]), num_resamples=200)
    assert thrice.miou == pytest.approx(bootstrap_intervals(one, num_resamples=200).miou)
    # Seeds that differ are averaged inside a resample: the ends average only if draws are shared.
    better, worse = outcomes(1, flips=0.1), outcomes(1, flips=0.6)
    both = bootstrap_intervals(np.stack([better, worse]))
    centre = np.mean([np.mean(bootstrap_intervals(x).miou) for x in (better, worse)])
    assert np.mean(both.miou) == pytest.approx(centre, abs=0.5)


def test_resampling_is_repeatable_and_seeded() -> None:
    counts = outcomes(2)
    assert bootstrap_intervals(counts, seed=4).miou == bootstrap_intervals(counts, seed=4).miou
    assert bootstrap_intervals(counts, seed=4).miou != bootstrap_intervals(counts, seed=5).miou


def test_wider_confidence_gives_a_wider_interval() -> None:
    low, high = bootstrap_intervals(outcomes(3), confidence=0.99).miou
    inner_low, inner_high = bootstrap_intervals(outcomes(3), confidence=0.5).miou
    assert low < inner_low < inner_high < high


def test_identical_results_do_not_differ() -> None:
    counts = outcomes(5)
    comparison = paired_bootstrap(counts, np.stack([counts, counts]), num_resamples=200)
    for name in ("miou", "miou_present", "miou_union", "pixel_accuracy"):
        paired = getattr(comparison, name)
        assert paired.difference == pytest.approx(0, abs=1e-9)
        assert paired.interval == pytest.approx((0, 0), abs=1e-9)
    assert paired_bootstrap(counts, counts, num_resamples=200).miou.p_value == 1


def test_a_steady_gain_is_significant_although_the_intervals_overlap() -> None:
    # Images differ a lot, the second result is a little worse on each of them.
    right = np.random.default_rng(0).integers(200, 900, 60)
    first = np.zeros((60, 1, 3), dtype=np.int64)
    first[:, 0, 0], first[:, 0, 2] = right, 1000 - right
    second = first + np.array([-20, 0, 20])
    intervals = [bootstrap_intervals(x).pixel_accuracy for x in (first, second)]
    assert intervals[0][0] < intervals[1][1]
    paired = paired_bootstrap(first, second).pixel_accuracy
    assert paired.difference == pytest.approx(2)
    assert paired.interval == pytest.approx((2, 2))
    assert paired.p_value == pytest.approx(2 / 2001)
    assert paired_bootstrap(second, first).pixel_accuracy.difference == pytest.approx(-2)


def test_p_values_of_equal_methods_are_spread_out() -> None:
    p_values = [
        paired_bootstrap(*_same_truth(seed), num_resamples=199).miou.p_value for seed in range(60)
    ]
    assert 0 <= np.mean(np.array(p_values) < 0.05) <= 0.15
    assert 0.3 < np.mean(p_values) < 0.7


def _same_truth(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two results with independent errors of the same size on the same images."""
    generator = np.random.default_rng(seed)
    results = PerImageCounts(3, 3), PerImageCounts(3, 3)
    for _ in range(40):
        target = generator.integers(0, 3, 200)
        for images in results:
            noise = generator.random(200) < 0.3 * generator.random()
            images.update(target, np.where(noise, (target + 1) % 3, target))
    first, second = (images.outcomes(np.arange(3)) for images in results)
    return first, second


def test_bad_input_is_explained() -> None:
    counts = outcomes(0, num_images=4)
    with pytest.raises(ValueError, match=r"first.*\[3, 3\]"):
        paired_bootstrap(counts, counts[:3])
    with pytest.raises(ValueError, match="image 0"):
        paired_bootstrap(counts, outcomes(1, num_images=4))
    with pytest.raises(ValueError, match=r"outcomes.*\[images, classes, 3\]"):
        bootstrap_intervals(counts[0])
    with pytest.raises(ValueError, match="no labelled pixel"):
        bootstrap_intervals(np.zeros_like(counts))
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_intervals(counts, confidence=95)
    with pytest.raises(ValueError, match="num_resamples"):
        bootstrap_intervals(counts, num_resamples=0)
