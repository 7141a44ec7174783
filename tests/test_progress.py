from __future__ import annotations

import sys

import pytest

from leopart_kit import progress


def test_without_a_terminal_the_log_tells_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    seconds = iter(range(0, 1000, 20))  # the clock of a loop with an item every 20 s
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    caplog.set_level("INFO")
    assert list(progress.rich_progress("abcde", "features", 5)) == list("abcde")
    assert [record.getMessage() for record in caplog.records] == [
        "features: 2 of 5, 0.05/s, 60 s left",
        "features: 4 of 5, 0.05/s, 20 s left",
    ]


def test_quiet_passes_items_on(capfd: pytest.CaptureFixture):
    items = [1, 2]
    assert progress.quiet(items, "nothing", 2) is items
    assert capfd.readouterr() == ("", "")
