"""The linear classifier: gradients against autograd, a separable case, nothing chosen on test."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F

from leopart_kit.image_level.evaluation import LinearSettings, linear_probe
from leopart_kit.image_level.evaluation.linear_classifier import (
    Candidate,
    LinearClassifiers,
    train_linear,
)

QUICK = LinearSettings(epochs=20, batch_size=16)


def blobs(per_class: int, seed: int, spread: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes around three corners, of very different scale and far from 0."""
    centres = torch.tensor([[0.0, 0.0, 5.0], [300.0, 0.0, 5.0], [0.0, 0.02, 5.0]])
    labels = torch.arange(3).repeat(per_class)
    generator = torch.Generator().manual_seed(seed)
    noise = spread * torch.randn(len(labels), 3, generator=generator)
    return centres[labels] + noise * torch.tensor([300.0, 0.02, 0.0]), labels


def test_gradients_are_those_of_cross_entropy():
    features, labels = torch.randn(10, 4), torch.randint(0, 3, (10,))
    models = LinearClassifiers(features, 3, 2, "cpu")
    models.weight = torch.randn(2, 4, 3)
    models.bias = torch.randn(2, 3)
    rows = models.prepare(features)
    found = models.gradients(rows, labels)
    for g in range(2):
        weight = models.weight[g].clone().requires_grad_(True)
        bias = models.bias[g].clone().requires_grad_(True)
        loss = F.cross_entropy(rows @ weight + bias, labels)
        expected = torch.autograd.grad(loss, (weight, bias))
        torch.testing.assert_close(found[0][g], expected[0])
        torch.testing.assert_close(found[1][g], expected[1])


def test_a_step_by_hand():
    """One step from 0 with both images: half the classes are wrong by 1/2 each.

    Features −1 and 1 standardise to themselves; √D is 1. The gradient of the weight is
    mean(x · (p − y)) = [½, −½] for labels 0 at −1 and 1 at 1, of the bias 0. Nesterov's first step
    is (1 + 0.9) times the gradient, the schedule's first factor 1.
    """
    settings = LinearSettings(epochs=1, batch_size=2)
    features, labels = torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1])
    candidates = [Candidate(0.1, 0.0), Candidate(0.2, 0.5)]
    models = train_linear(features, labels, 2, candidates, settings, seed=0)
    expected = torch.tensor([[[-0.095, 0.095]], [[-0.19, 0.19]]])
    torch.testing.assert_close(models.weight, expected)
    torch.testing.assert_close(models.bias, torch.zeros(2, 2))


def test_weight_decay_draws_the_weights_to_zero():
    features, labels = blobs(20, seed=0)
    candidates = [Candidate(1.0, 0.0), Candidate(1.0, 0.3)]
    models = train_linear(features, labels, 3, candidates, QUICK, seed=0)
    free, decayed = models.weight.flatten(1).norm(dim=1)
    assert decayed < 0.7 * free


def test_the_optimum_is_that_of_a_convex_problem():
    """With weight decay the minimum is unique: SGD over the whole set must come to L-BFGS's."""
    features, labels = torch.randn(40, 3), torch.randint(0, 2, (40,))
    decay = 0.02
    settings = LinearSettings(epochs=600, batch_size=40)
    models = train_linear(features, labels, 2, [Candidate(3.0, decay)], settings, seed=0)
    rows = models.prepare(features)
    weight = torch.zeros(3, 2, requires_grad=True)
    bias = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-9)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(rows @ weight + bias, labels)
        loss = loss + decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    torch.testing.assert_close(models.weight[0], weight.detach(), atol=2e-3, rtol=1e-2)


def test_separable_classes_are_told_apart_whatever_their_scale():
    train, labels = blobs(30, seed=0)
    test, expected = blobs(10, seed=1)
    probe = linear_probe(train, labels, test, 3, QUICK, seed=0)
    assert torch.equal(probe.predictions, expected)
    assert probe.validation_accuracy == 100


def test_the_better_candidate_is_chosen_on_held_out_images():
    """The classes differ along (1, −1) by little and vary along (1, 1) by much.

    A tiny learning rate comes no further than the difference of the means, which is mostly chance.
    """
    labels = torch.arange(2).repeat(50)
    common = torch.randn(100, 1)
    train = common * torch.ones(2) + (labels[:, None] - 0.5) * torch.tensor([0.05, -0.05])
    settings = LinearSettings(
        learning_rates=(1e-6, 300.0), weight_decays=(0.0,), epochs=50, batch_size=16
    )
    probe = linear_probe(train, labels, train, 2, settings, seed=0)
    assert probe.chosen == Candidate(300.0, 0.0)
    assert probe.validation_accuracy == 100
    assert torch.equal(probe.predictions, labels)


def test_the_choice_cannot_depend_on_test_labels():
    """They are no argument; and other test images change no choice and no classifier."""
    assert "test_labels" not in inspect.signature(linear_probe).parameters
    train, labels = blobs(20, seed=0, spread=0.4)
    some, others = blobs(10, seed=1, spread=0.4)[0], 100 * torch.randn(7, 3)
    both = linear_probe(train, labels, torch.cat([some, others]), 3, QUICK, seed=2)
    alone = linear_probe(train, labels, some, 3, QUICK, seed=2)
    assert both.chosen == alone.chosen
    assert both.validation_accuracy == alone.validation_accuracy
    assert torch.equal(both.predictions[:30], alone.predictions)


def test_a_seed_gives_the_same_answer_again():
    train, labels = blobs(20, seed=0, spread=0.5)
    first, second = (linear_probe(train, labels, train, 3, QUICK, seed=4) for _ in range(2))
    assert torch.equal(first.predictions, second.predictions)
    assert first.validation_accuracy == second.validation_accuracy


def test_candidates_do_not_influence_each_other():
    train, labels = blobs(20, seed=0, spread=0.5)
    pair = [Candidate(1.0, 0.0), Candidate(10.0, 1e-3)]
    together = train_linear(train, labels, 3, pair, QUICK, seed=0)
    alone = train_linear(train, labels, 3, pair[1:], QUICK, seed=0)
    torch.testing.assert_close(together.weight[1], alone.weight[0], atol=1e-4, rtol=1e-4)


def test_diverged_candidates_lose_and_all_of_them_are_an_error():
    train, labels = blobs(20, seed=0)
    settings = LinearSettings(
        learning_rates=(1e7, 1.0), weight_decays=(1e7,), epochs=5, batch_size=16
    )
    with pytest.raises(ValueError, match=r"linear\.le"):
        linear_probe(train, labels, train, 3, settings)
    settings = LinearSettings(
        learning_rates=(1e7, 1.0), weight_decays=(1e7, 0.0), epochs=5, batch_size=16
    )
    probe = linear_probe(train, labels, train, 3, settings)
    assert probe.chosen.weight_decay == 0
    assert probe.validation_accuracy == 100


def test_features_that_are_not_finite_are_named():
    train, labels = blobs(20, seed=0)
    train[7, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        linear_probe(train, labels, train, 3, QUICK)
