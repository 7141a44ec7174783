"""NeCo, PaKA and Gram anchoring on a tiny transformer: they learn, resume, say what is wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from leopart_kit.data import MultiCropTransform
from leopart_kit.methods import (
    AnchoredSettings,
    GramAnchor,
    GramSettings,
    Leopart,
    LeopartSettings,
    LinearProjection,
    Method,
    NeCo,
    NeCoSettings,
    PaKA,
    PaKASettings,
    PatchEmbedder,
    UnitTokens,
)
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from leopart_kit.training.stopping import TrainingInterrupted
from tests.methods.tiny_clusterer import DIM, patchy_images, tiny_clusterer, tiny_vit, view_batch
from tests.training.test_training_resume import assert_same, last_state
from tests.training.tiny_leopart import Images

RATES = {"backbone_learning_rate": 1e-3, "head_learning_rate": 3e-3, "roi_size": 3}
VIEWS = MultiCropTransform(32, 16, num_local=1)


def embedder(head: bool = True) -> PatchEmbedder:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        projection = LinearProjection(DIM, 8) if head else UnitTokens(DIM)
        return PatchEmbedder(tiny_vit(), projection)


def method_of(kind: str, **settings: Any) -> Method:
    numbers = {**RATES, **settings}
    if kind == "neco":
        return NeCo(embedder(), NeCoSettings(**numbers))
    if kind == "paka":
        return PaKA(embedder(), PaKASettings(**numbers))
    leopart = LeopartSettings(foreground="all", queue_length=0, **numbers)
    return Leopart(tiny_clusterer(), leopart)


@pytest.mark.parametrize("kind", ["neco", "paka"])
@pytest.mark.parametrize("head", [True, False])
def test_a_step_lowers_the_loss_and_leaves_the_teacher_alone(kind: str, head: bool):
    networks: dict[str, Any] = {
        "neco": lambda: NeCo(embedder(head), NeCoSettings(**RATES)),
        "paka": lambda: PaKA(embedder(head), PaKASettings(**RATES)),
    }
    method, batch = networks[kind](), view_batch(patchy_images(4))
    before = {k: v.clone() for k, v in method.teacher.state_dict().items()}
    groups = [{"params": g.parameters, "lr": g.learning_rate} for g in method.parameter_groups()]
    optimizer = torch.optim.Adam(groups)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        output = method(batch, 0)  # the same references each time
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
    assert losses[-1] < losses[0]
    assert all(torch.equal(before[k], v) for k, v in method.teacher.state_dict().items())
    assert 0 < output.logs["token_spread"] < 1


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("neco", {"queue_length": 90, "separate_heads": False}),
        ("neco", {"ordering": "softmax", "steepness": 10.0}),
        ("neco", {"ema_before_update": True, "gram_weight": 1.0, "gram_teacher": "ema"}),
        ("paka", {"gram_weight": 2.0, "gram_renew_every": 3, "gram_scale": 2}),
        ("leopart", {"gram_weight": 2.0, "gram_renew_every": 3}),
    ],
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    tmp_path: Path, kind: str, settings: dict[str, Any]
):
    def run(folder: Path, stop_at: int | None = None) -> Method:
        method = method_of(kind, **settings)
        after_step = method.after_step

        def stopping(step: int, momentum: float) -> None:
            after_step(step, momentum)
            if step == stop_at:
                raise KeyboardInterrupt

        method.after_step = stopping
        torch.manual_seed(0)
        loader = TrainingLoader(SeededSamples(Images(), VIEWS, seed=4), 2)
        numbers = TrainingSettings(max_steps=8, momentum=0.9, log_every=1, checkpoint_every=2)
        train(method, loader, numbers, folder, fabric=build_fabric("cpu"))
        return method

    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        run(tmp_path / "stopped", stop_at=6)
    run(tmp_path / "stopped")
    whole = run(tmp_path / "whole")
    ours, theirs = last_state(tmp_path / "stopped"), last_state(tmp_path / "whole")
    assert_same(ours["state_dict"], theirs["state_dict"])
    assert_same(ours["optimizer"], theirs["optimizer"])
    if settings.get("queue_length"):
        assert theirs["state_dict"]["queue.stored"].item() == 8 * 20
        assert whole.queue.full  # type: ignore[union-attr]
    if settings.get("gram_renew_every"):
        start = tiny_vit().state_dict()
        renewed = {k: theirs["state_dict"][f"gram.encoder.{k}"] for k in start}
        assert any(not torch.equal(renewed[k], v) for k, v in start.items())


def test_gram_anchoring_is_zero_at_the_start_and_grows_with_the_change():
    anchor, encoder = GramAnchor(GramSettings(gram_weight=2.0), tiny_vit()), tiny_vit()
    views = view_batch(patchy_images(2)).views

    def term() -> float:
        return anchor([encoder.patch_tokens(view) for view in views], views).item()

    assert term() == pytest.approx(0, abs=1e-9)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    moved = term()
    assert moved > 1e-4
    anchor.renew(1, encoder)  # never, by default
    assert term() == moved


@pytest.mark.parametrize("scale", [1, 2])
def test_both_teachers_of_the_start_say_the_same(scale: int):
    """gram_teacher=ema with a teacher that stands still is gram_teacher=start."""
    batch = view_batch(patchy_images(2))
    terms = [
        method_of("paka", gram_weight=1.0, **kind).eval()(batch, 0).logs["gram"]
        for kind in ({"gram_teacher": "ema"}, {"gram_scale": scale})
    ]
    assert (abs(terms[0] - terms[1]) < 1e-9) == (scale == 1)


def test_alike_tokens_are_warned_of(caplog: pytest.LogCaptureFixture):
    method = method_of("paka")
    with torch.no_grad():
        norm: Any = method.encoder.vit.norm  # type: ignore[union-attr]
        norm.weight.mul_(1e-3)
        norm.bias.add_(1)
    with caplog.at_level(logging.WARNING):
        method(view_batch(patchy_images(2)), 0)
    assert "alike" in caplog.text


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: method_of("neco", queue_length=5), "queue_length"),
        (lambda: GramSettings(gram_weight=1.0, gram_teacher="ema", gram_scale=2), "gram_scale"),
        (lambda: method_of("paka", trained_blocks=9), "trained_blocks"),
        (lambda: AnchoredSettings(gram_weight=1.0, gram_teacher="ema"), "gram_teacher"),
        (lambda: NeCoSettings(ordering="bubble"), "ordering"),  # type: ignore[arg-type]
        (lambda: method_of("neco", roi_size=1), "roi_size"),
        (lambda: method_of("paka", roi_size=1), "roi_size"),
        (lambda: NeCoSettings(ordering="softmax", steepness=0.0), "steepness"),
        (lambda: NeCoSettings(ordering="odd_even", steepness=1e39), "steepness"),
    ],
)
def test_settings_that_do_not_fit_are_told(make, named: str):
    with pytest.raises(ValueError, match=named):
        make()
