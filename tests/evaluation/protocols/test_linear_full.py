from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols import linear_full
from leopart_kit.evaluation.protocols.linear_full import LinearFull
from leopart_kit.evaluation.protocols.probes.normalized_head import NormalizedHead
from leopart_kit.evaluation.protocols.probes.windows import window_starts
from leopart_kit.report.results_json import to_json, validate
from tests.evaluation.tiny_data import MeanColour, encoder_of, write_folder

PROTOCOL = LinearFull(
    resolution=(16, 16),
    score_resolution=(8, 8),
    stride=8,
    learning_rates=(0.03, 0.1),
    weight_decays=(1e-3,),
    holdout=0.25,
    iterations=60,
    batch_size=4,
)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 60))
def test_windows_cover_every_pixel(length: int, window: int, stride: int):
    stride, window = min(stride, window), min(window, length)
    starts = window_starts(length, window, stride)
    covered = np.zeros(length, int)
    for start in starts:
        assert 0 <= start <= length - window
        covered[start : start + window] += 1
    assert covered.all()
    assert len(set(starts)) == len(starts)


def test_published_windows():
    assert window_starts(512, 512, 341) == [0]
    assert window_starts(1024, 512, 341) == [0, 341, 512]


def test_a_folded_head_is_the_same_function():
    torch.manual_seed(0)
    head = NormalizedHead(5, 3)
    for _ in range(4):
        head(torch.randn(6, 5, 4, 4) * 3 + 2)
    torch.nn.init.normal_(head.norm.weight)
    torch.nn.init.normal_(head.norm.bias)
    tokens = torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(head.folded()(tokens), head.eval()(tokens))


def test_colours_are_learnt_at_full_size_and_a_run_goes_on(tmp_path: Path, monkeypatch):
    train, val = write_folder(tmp_path / "train", 12), write_folder(tmp_path / "val", 4)
    run = RunSettings(cache_dir=tmp_path / "cache", shared_images="allow")
    whole = evaluate(
        encoder_of(MeanColour()), val, PROTOCOL, RunSettings(shared_images="allow"), train=train
    )
    assert whole.scores[0].resolution == "full"
    assert whole.metrics["miou"].mean > 90
    validate(to_json(whole))
    tried = whole.details["miou_on_held_out_images"]["0"]
    assert set(tried) == {"rate 0.03, decay 0.001", "rate 0.1, decay 0.001"}
    [chosen] = whole.details["chosen"]
    assert chosen == {"seed": 0, "setting": max(tried, key=tried.__getitem__)}

    monkeypatch.setattr(linear_full, "_KEPT_EVERY", 10)
    with pytest.raises(KeyboardInterrupt):
        evaluate(encoder_of(MeanColour(fail_at_call=25)), val, PROTOCOL, run, train=train)
    fn = MeanColour()
    again = evaluate(encoder_of(fn), val, PROTOCOL, run, train=train)
    assert again.metrics == whole.metrics
    assert sum(size == 4 for size in fn.batches) < 60, "steps before the break are not repeated"


@pytest.mark.parametrize(
    "change", [{"batch_size": 1}, {"batch_size": 3, "resolution": (8, 8)}, {"resolution": (8, 8)}]
)
def test_small_batches_that_can_be_trained_are(tmp_path: Path, change):
    images = write_folder(tmp_path, 8)
    protocol = replace(PROTOCOL, iterations=3, **change)
    run = RunSettings(shared_images="allow")
    assert evaluate(encoder_of(MeanColour()), images, protocol, run, train=images).metrics


@pytest.mark.parametrize(
    ("change", "images", "message"),
    [
        ({}, 1, "1 training"),
        ({"learning_rates": (1e30,)}, 8, "learning_rates"),
        (
            {"batch_size": 1, "resolution": (8, 8)},
            8,
            r"protocol\.batch_size 1 .*\[8, 8\]",
        ),
        ({"batch_size": 5, "resolution": (8, 8)}, 8, r"protocol\.batch_size 5 "),  # 6 = 5 + 1
    ],
)
def test_what_cannot_be_trained_is_named(tmp_path: Path, change, images, message):
    train, val = write_folder(tmp_path / "train", images), write_folder(tmp_path / "val", 4)
    with pytest.raises(ValueError, match=message):
        evaluate(
            encoder_of(MeanColour()),
            val,
            replace(PROTOCOL, **change),
            RunSettings(shared_images="allow"),
            train=train,
        )
