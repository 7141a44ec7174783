"""A training of every method on the logical device, and the traffic of its steps.

Run by `test_logical_device.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.every_method import LABELLING, METHODS, words_of
from tests.logical_device.training import train_on_device

MOST = 3


@pytest.mark.parametrize("method", METHODS)
def test_a_method(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    steps = train_on_device(words_of(method, "trainer.max_steps=4"), monkeypatch)
    assert len(steps) == 4
    counted = sorted(steps[1:], key=lambda seen: len(seen.syncs))  # warnings are due in the first
    for seen in counted[:2] if method in LABELLING else counted:
        assert len(seen.syncs) <= MOST, str(seen)
        assert not seen.copies, str(seen)


def test_the_norm_of_gradients_is_read_with_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    more = ("trainer.clip_norm=0.5", "trainer.accumulate_steps=2", "trainer.max_steps=3")
    for seen in train_on_device(words_of("leopart", *more), monkeypatch)[1:]:
        assert len(seen.syncs) == 3, str(seen)  # both batches fill the queue
        assert not seen.copies, str(seen)
