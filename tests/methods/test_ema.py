from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from leopart_kit.methods.ema import start_statistics, update_ema


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
    with pytest.raises(ValueError, match="teacher"):
        update_ema(nn.Linear(2, 3), nn.Linear(3, 2), 0.5)
    with pytest.raises(ValueError, match="teacher"):
        update_ema(nn.Linear(2, 3), nn.Linear(2, 3, bias=False), 0.5)
    with pytest.raises(ValueError, match="momentum"):
        update_ema(nn.Linear(2, 3), nn.Linear(2, 3), 1.5)


def test_statistics_start_as_those_of_one_batch():
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).train()
    teacher = deepcopy(student).eval()
    batch = torch.randn(16, 3)
    start_statistics(teacher, student, lambda: student(batch))
    rows = student[0](batch)
    for network in (student, teacher):
        norm = network[1]
        torch.testing.assert_close(norm.running_mean, rows.mean(dim=0))
        torch.testing.assert_close(norm.running_var, rows.var(dim=0))
        assert norm.momentum == 0.1
    assert all(p.grad is None for p in student.parameters())


def test_statistics_that_were_measured_before_are_not_thrown_away():
    student = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.BatchNorm1d(4)).train()
    start = student.state_dict()
    student.load_state_dict({**start, "0.running_mean": torch.full((3,), 5.0)})
    teacher = deepcopy(student).eval()
    batch = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    start_statistics(teacher, student, lambda: student(batch))
    found = teacher.state_dict()
    torch.testing.assert_close(found["0.running_mean"], 0.9 * 5.0 + 0.1 * batch.mean(dim=0))
    assert not torch.equal(found["2.running_var"], torch.ones(4))
    start_statistics(teacher, student, lambda: pytest.fail("was run"))


def test_without_batch_norm_nothing_is_run():
    student = nn.Linear(2, 2)
    start_statistics(deepcopy(student), student, lambda: pytest.fail("was run"))
