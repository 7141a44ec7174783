"""Prediction across views: SwAV's pairs written out, DINO's two classes by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from leopart_kit.clustering import sinkhorn_knopp
from leopart_kit.losses import (
    across_views_cross_entropy,
    centred_targets,
    mean_scores,
    teacher_assignments,
)
from tests.two_processes import run_in_processes


def random_scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_every_global_view_is_predicted_by_every_other_view():
    codes = torch.softmax(random_scores(2, 3, 4), dim=-1)
    scores = [random_scores(3, 4, seed=v).requires_grad_(True) for v in range(1, 5)]
    loss = across_views_cross_entropy(codes, scores, 0.5)
    total, pairs = codes.new_zeros(()), 0
    for g in range(2):
        for v in range(4):
            if v == g:
                continue
            pairs += 1
            for b in range(3):
                p = (scores[v][b] / 0.5).exp()
                total = total - (codes[g, b] * (p / p.sum()).log()).sum()
    assert pairs == 6
    assert loss.item() == pytest.approx(total.item() / (6 * 3), abs=1e-12)
    own, theirs = (torch.autograd.grad(x, scores) for x in (loss, total / 18))
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_codes_of_swav_are_sinkhorn_knopp_over_the_batch_of_each_view():
    scores = random_scores(2, 6, 3)
    codes = teacher_assignments(scores[:, :, None, None])[:, :, 0, 0]
    for view in (0, 1):
        assert torch.equal(codes[view], sinkhorn_knopp(scores[view], 0.05, 3))


def test_dino_by_hand_with_two_classes():
    # One image, two views, no centre. Teacher at temperature 1: (ln 3, 0) is (3/4, 1/4).
    teacher = torch.tensor([[[math.log(3), 0.0]], [[0.0, 0.0]]])
    targets = centred_targets(teacher, torch.zeros(2), 1.0)
    torch.testing.assert_close(targets[:, 0], torch.tensor([[0.75, 0.25], [0.5, 0.5]]))
    # Student: the first view says (1/2, 1/2), the second (4/5, 1/5).
    student = [torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(4), 0.0]])]
    first_from_second = -(0.75 * math.log(0.8) + 0.25 * math.log(0.2))
    second_from_first = math.log(2)
    loss = across_views_cross_entropy(targets, student, 1.0)
    assert loss.item() == pytest.approx((first_from_second + second_from_first) / 2, abs=1e-6)


def test_centring_and_sharpening_by_hand():
    teacher = torch.tensor([[[1.1, 1.0]]])
    # Less the centre the two are equal; at temperature 0.05 a lead of 0.1 is e² to 1.
    even = centred_targets(teacher, torch.tensor([1.1, 1.0]), 0.05)
    torch.testing.assert_close(even[0, 0], torch.tensor([0.5, 0.5]))
    sharp = centred_targets(teacher, torch.zeros(2), 0.05)
    share = math.exp(2) / (math.exp(2) + 1)
    torch.testing.assert_close(sharp[0, 0], torch.tensor([share, 1 - share]))


def test_targets_carry_no_gradient():
    teacher = random_scores(1, 2, 3).requires_grad_(True)
    assert not centred_targets(teacher, torch.zeros(3), 1.0).requires_grad
    targets = torch.softmax(teacher, dim=-1)
    scores = [random_scores(2, 3, seed=v).requires_grad_(True) for v in (1, 2)]
    across_views_cross_entropy(targets, scores).backward()
    assert teacher.grad is None


def half_mean(rank: int, scores: Tensor) -> Tensor:
    return mean_scores(scores[:, 3 * rank : 3 * rank + 3], dist.group.WORLD)


def test_the_centre_is_that_of_the_global_batch():
    scores = random_scores(2, 6, 4).float()
    expected = scores.reshape(12, 4).mean(dim=0)
    torch.testing.assert_close(mean_scores(scores), expected)
    for mean in run_in_processes(half_mean, 2, scores):
        torch.testing.assert_close(mean, expected)


def test_bad_input():
    codes = torch.full((1, 2, 3), 1 / 3)
    with pytest.raises(ValueError, match="1 global views"):
        across_views_cross_entropy(codes, [torch.zeros(2, 3)])
    with pytest.raises(ValueError, match=r"\[1\].*\[2, 4\]"):
        across_views_cross_entropy(codes, [torch.zeros(2, 3), torch.zeros(2, 4)])
