"""Distillation: value and gradient by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.losses.distillation import distillation_loss


def test_value_by_hand():
    """Teacher (3/4, 1/4) at T = 2, student (1/2, 1/2): T² · (3/4 ln 3/2 + 1/4 ln 1/2)."""
    teacher = torch.tensor([[2 * math.log(3.0), 0.0]])
    student = torch.tensor([[5.0, 5.0]])
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert distillation_loss(student, teacher, 2.0).item() == pytest.approx(expected, rel=1e-5)
    batch = distillation_loss(torch.cat([student, teacher]), torch.cat([teacher, teacher]), 2.0)
    assert batch.item() == pytest.approx(expected / 2, rel=1e-5)


def test_gradient_by_hand():
    """d/d student = T · (softmax(student / T) − softmax(teacher / T)) / B; none for the teacher."""
    student = torch.randn(3, 4, requires_grad=True)
    teacher = torch.randn(3, 4, requires_grad=True)
    distillation_loss(student, teacher, 5.0).backward()
    difference = torch.softmax(student / 5, 1) - torch.softmax(teacher / 5, 1)
    torch.testing.assert_close(student.grad, (5 * difference / 3).detach())
    assert teacher.grad is None


@given(st.integers(0, 1000), st.floats(0.5, 20), st.floats(-100, 100))
def test_it_is_zero_for_equal_answers_and_blind_to_a_shift(seed: int, t: float, shift: float):
    generator = torch.Generator().manual_seed(seed)
    logits, other = torch.randn(2, 5, 3, generator=generator).unbind()
    assert distillation_loss(logits + shift, logits, t).item() == pytest.approx(0, abs=1e-2)
    assert distillation_loss(logits, other, t).item() > 0


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"\[B, C\].*\[2, 4\]"):
        distillation_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="temperature"):
        distillation_loss(torch.zeros(2, 3), torch.zeros(2, 3), 0)
