"""The metric of batches equals the matching of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit import UnsupervisedMIoU, match


@given(st.integers(2, 5), st.integers(1, 8), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_batches_give_the_figure_of_all_pixels(
    num_classes: int, num_clusters: int, num_batches: int, seed: int
):
    drawn = np.random.default_rng(seed)
    target = drawn.integers(0, num_classes, (num_batches, 6, 7))
    target[:, 0] = 255
    prediction = drawn.integers(0, num_clusters, target.shape)
    metric = UnsupervisedMIoU(num_classes, num_clusters)
    halves = [UnsupervisedMIoU(num_classes, num_clusters) for _ in range(2)]
    for index in range(num_batches):
        metric.update(torch.from_numpy(prediction[index]), target[index])
        halves[index % 2].update(prediction[index], target[index])
    whole = match(target, prediction, num_classes, num_clusters=num_clusters)
    assert metric.compute().item() == pytest.approx(whole.scores.miou, abs=1e-4)
    assert halves[0].merge(halves[1]).compute() == metric.compute()
    metric.reset()
    with pytest.raises(ValueError, match="update"):
        metric.compute()


def test_a_rule_that_there_is_not():
    metric = UnsupervisedMIoU(2, rule="greedy")  # type: ignore[arg-type]
    metric.update(np.zeros((2, 2), int), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match="greedy"):
        metric.compute()
