from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from leopart_kit.methods.ema import update_ema


def test_parameters_and_running_statistics_move_and_counters_are_copied():
    linear, norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
    student = nn.Sequential(linear, norm)
    teacher_linear, teacher_norm = deepcopy(linear), deepcopy(norm)
    teacher = nn.Sequential(teacher_linear, teacher_norm)
    with torch.no_grad():
        teacher_linear.weight.fill_(1.0)
        linear.weight.fill_(3.0)
    norm(torch.rand(4, 2) + 7)
    means = [n.running_mean for n in (teacher_norm, norm)]
    assert means[0] is not None
    assert means[1] is not None
    expected = 0.75 * means[0] + 0.25 * means[1]
    update_ema(teacher, student, 0.75)
    assert torch.equal(teacher_linear.weight, torch.full((2, 2), 1.5))
    assert torch.equal(linear.weight, torch.full((2, 2), 3.0))
    assert expected.min() > 0.1
    torch.testing.assert_close(teacher_norm.running_mean, expected)
    assert teacher_norm.num_batches_tracked == 1


def test_momentum_1_keeps_and_0_copies():
    student, teacher = nn.Linear(3, 2), nn.Linear(3, 2)
    before = deepcopy(teacher.state_dict())
    update_ema(teacher, student, 1.0)
    assert torch.equal(teacher.weight, before["weight"])
    update_ema(teacher, student, 0.0)
    assert torch.equal(teacher.weight, student.weight)


def test_a_wrapped_student_is_followed():
    student, teacher = nn.Linear(3, 2), nn.Linear(3, 2)
    update_ema(teacher, nn.DataParallel(student), 0.0)
    assert torch.equal(teacher.weight, student.weight)


def test_bad_input():
    with pytest.raises(ValueError, match="build the teacher as a copy"):
        update_ema(nn.Linear(2, 3), nn.Linear(3, 2), 0.5)
    with pytest.raises(ValueError, match="build the teacher as a copy"):
        update_ema(nn.Linear(2, 3), nn.Linear(2, 3, bias=False), 0.5)
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\], got 1.5"):
        update_ema(nn.Linear(2, 3), nn.Linear(2, 3), 1.5)
