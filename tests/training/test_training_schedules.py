from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.training.schedules import cosine_schedule
from leopart_kit.training.settings import TrainingSettings


def test_cosine_by_hand():
    value = cosine_schedule(2.0, 0.0, 4)
    half = math.sqrt(0.5)
    assert [value(s) for s in range(6)] == pytest.approx([2, 1 + half, 1, 1 - half, 0, 0])


def test_warmup_reaches_the_start_in_its_last_step():
    value = cosine_schedule(4.0, 1.0, 6, warmup_steps=4)
    assert [value(s) for s in range(7)] == pytest.approx([1, 2, 3, 4, 4, 2.5, 1])


def test_leopart_defaults():
    """Weight decay 0.04 → 0.5, momentum 0.9995 → 1, learning rate to 0 (Ziegler & Asano 2022)."""
    schedules = TrainingSettings(max_steps=100).schedules()
    assert (schedules.weight_decay(0), schedules.weight_decay(100)) == (0.04, pytest.approx(0.5))
    assert (schedules.momentum(0), schedules.momentum(100)) == (0.9995, pytest.approx(1.0))
    assert (schedules.learning_rate(0), schedules.learning_rate(100)) == (1.0, pytest.approx(0))
    assert schedules.weight_decay(50) == pytest.approx(0.27)


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 50))
def test_cosine_is_monotone_and_symmetric(start: float, end: float, steps: int):
    value = cosine_schedule(start, end, steps)
    values = [value(s) for s in range(steps + 1)]
    assert values[0] == start
    assert values == sorted(values, reverse=start > end)
    mirrored = [start + end - v for v in reversed(values)]
    assert values == pytest.approx(mirrored, abs=1e-9)


def test_bad_schedules():
    with pytest.raises(ValueError, match=r"num_steps.*0"):
        cosine_schedule(1.0, 0.0, 0)
    with pytest.raises(ValueError, match="warmup_steps"):
        cosine_schedule(1.0, 0.0, 3, warmup_steps=3)
