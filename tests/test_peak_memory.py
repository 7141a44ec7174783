"""The peak of one piece of work, in a process that did a larger one before."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from leopart_kit import peak_memory
from leopart_kit.peak_memory import peak_memory_mb, restart_peak


def test_a_peak_is_in_mib_and_holds_what_was_given_back():
    restart_peak()
    before = peak_memory_mb()
    np.ones(200 * 2**17)  # 200 MiB, given back at once
    assert peak_memory_mb() - before == pytest.approx(200, abs=20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can restart the peak")
def test_earlier_work_does_not_count():
    restart_peak()
    np.ones(400 * 2**17)
    large = peak_memory_mb()
    restart_peak()
    assert peak_memory_mb() < large - 300


def test_a_system_without_proc_tells_the_peak_of_the_whole_process(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_PROCESS", tmp_path / "none")
    restart_peak()
    assert peak_memory_mb() > 50
