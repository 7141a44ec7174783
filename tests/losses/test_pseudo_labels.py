"""Labels by optimal transport, and a cross entropy in which labels weigh alike."""

from __future__ import annotations

import math

import pytest
import torch

from leopart_kit.losses import balanced_cross_entropy, transport_plan


def test_every_label_has_the_same_mass():
    generator = torch.Generator().manual_seed(0)
    # Predictions that all prefer the same few labels.
    scores = torch.randn(400, 8, generator=generator) + torch.linspace(3, -3, 8)
    plan = transport_plan(torch.log_softmax(scores, dim=1))
    torch.testing.assert_close(plan.sum(dim=1), torch.ones(400))
    torch.testing.assert_close(plan.sum(dim=0), torch.full((8,), 50.0), rtol=0.01, atol=0)
    counts = torch.bincount(plan.argmax(dim=1), minlength=8)
    assert counts.min() >= 45
    assert counts.max() <= 55
    unbalanced = torch.bincount(scores.argmax(dim=1), minlength=8)
    assert unbalanced.max() > 150


def test_the_plan_is_the_best_of_all_equal_ones():
    # Four images, two labels: of the six ways to give each label two images, the best one.
    log_p = torch.log(torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]))
    assert transport_plan(log_p).argmax(dim=1).tolist() == [0, 0, 1, 1]


def test_rare_labels_weigh_as_much_as_frequent_ones():
    scores = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], requires_grad=True)
    # Of 8 images 6 have label 0 and 2 label 1; label 2 is unused. Weights 8 / (2 · 6), 8 / (2 · 2).
    loss = balanced_cross_entropy(scores, torch.tensor([0, 1]), torch.tensor([6, 2, 0]))
    log_sum = math.log(math.e + 2)
    expected = (2 / 3 * (log_sum - 1) + 2 * log_sum) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_in_expectation_it_is_uniform_sampling_over_labels():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(12, 3, generator=generator)
    labels = torch.tensor([0] * 8 + [1] * 3 + [2])
    counts = torch.bincount(labels)
    plain = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    by_label = torch.stack([plain[labels == k].mean() for k in range(3)]).mean()
    torch.testing.assert_close(balanced_cross_entropy(scores, labels, counts), by_label)
