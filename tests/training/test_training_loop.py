"""What one step does, and how a run ends when something is wrong."""

from __future__ import annotations

import logging
import math
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from leopart_kit.methods.method import Method, ParameterGroup, StepOutput
from leopart_kit.training import progress_bar
from leopart_kit.training.checkpoint import CheckpointWriteError, list_checkpoints
from leopart_kit.training.engine import build_fabric
from leopart_kit.training.loader import TrainingLoader
from leopart_kit.training.loop import train
from leopart_kit.training.metrics_log import read_metrics
from leopart_kit.training.progress_bar import training_bar
from leopart_kit.training.samples import SeededSamples
from leopart_kit.training.settings import TrainingSettings
from leopart_kit.training.stopping import NonFiniteLoss
from tests.training.tiny_training import TinyMethod, Vectors, losses, run_tiny


class Slope(Method):
    """loss = w · c: the gradient is c = (3, 4) of norm 5 at every step, whatever the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.bias = nn.Parameter(torch.tensor([10.0]))
        self.calls: list[tuple] = []

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        self.calls.append(("forward", step))
        loss = self.weight @ torch.tensor([3.0, 4.0]) + 0.0 * self.bias.sum()
        return StepOutput(loss, {"calls": float(len(self.calls))})

    def parameter_groups(self) -> list[ParameterGroup]:
        return [
            ParameterGroup("weight", [self.weight], 0.1, decayed=True),
            ParameterGroup("bias", [self.bias], 0.2, decayed=False),
        ]

    def before_step(self, step: int) -> None:
        assert not torch.is_grad_enabled()
        self.calls.append(("before", step, self.weight.tolist()))

    def after_step(self, step: int, momentum: float) -> None:
        assert not torch.is_grad_enabled()
        self.calls.append(("after", step, self.weight.tolist(), momentum))


class LateSlope(Slope):
    """A slope whose gradient is zero in the first three steps, then (3, 4)."""

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        output = super().forward(batch, step)
        return output._replace(loss=output.loss * float(step >= 3))

    def started_anew(self, step: int) -> list[nn.Parameter]:
        return [self.weight] if step == 3 else []


def sgd(groups: list[dict]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups)


def test_steps_by_hand(tmp_path: Path):
    """Two SGD steps with decay and clipping, computed on paper.

    Rates at steps 0, 1: 0.1, 0.05. Decay: 0.5, 0.5. Momentum: 0.5 → 1, so 0.5, 0.75. The clipped
    gradient is (3, 4) / 5 · 0.5 = (0.3, 0.4).
    w1 = (1, 2) − 0.1 · ((0.3, 0.4) + 0.5 · (1, 2)) = (0.92, 1.86)
    w2 = w1 − 0.05 · ((0.3, 0.4) + 0.5 · w1) = (0.882, 1.7935)
    """
    settings = {
        "max_steps": 2,
        "accumulate_steps": 2,
        "clip_norm": 0.5,
        "weight_decay": 0.5,
        "final_weight_decay": 0.5,
        "momentum": 0.5,
    }
    method = Slope()
    run_tiny(tmp_path, method=method, settings=settings, make_optimizer=sgd)
    kinds = ["before", "forward", "forward", "after"]
    assert [call[:2] for call in method.calls] == [(k, s) for s in (0, 1) for k in kinds]
    assert method.calls[3][2] == pytest.approx([0.92, 1.86])
    assert method.calls[4][2] == method.calls[3][2]
    assert method.weight.tolist() == pytest.approx([0.882, 1.7935])
    assert method.bias.tolist() == [10.0]
    assert [method.calls[3][3], method.calls[7][3]] == pytest.approx([0.5, 0.75])
    first, second = read_metrics(tmp_path / "metrics.jsonl")
    assert first["loss"] == 11.0
    assert second["loss"] == pytest.approx(0.92 * 3 + 1.86 * 4)
    assert first["gradient_norm"] == pytest.approx(5.0)
    assert (first["calls"], first["momentum"], first["weight_decay"]) == (2.5, 0.5, 0.5)
    rates = [(r["learning_rate/weight"], r["learning_rate/bias"]) for r in (first, second)]
    assert rates == [pytest.approx((0.1, 0.2)), pytest.approx((0.05, 0.1))]
    assert (first["epoch"], second["epoch"]) == (8 / 20, 16 / 20)


@pytest.mark.parametrize(("stated_for", "factor"), [(None, 1), (8, 1), (2, 4), (32, 0.25)])
def test_rates_grow_with_the_images_of_a_step(
    tmp_path: Path, stated_for: int | None, factor: float
):
    numbers = {"max_steps": 2, "accumulate_steps": 2}
    run_tiny(tmp_path / "one", settings=numbers)
    run_tiny(tmp_path / "two", settings={**numbers, "scale_learning_rate": stated_for})
    one, two = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    names = [name for name in one[0] if name.startswith("learning_rate/")]
    assert names
    for name in names:
        assert [r[name] for r in two] == pytest.approx([factor * r[name] for r in one])


def test_a_parameter_that_starts_late_starts_as_adam_does(tmp_path: Path):
    """Adam's first step is the rate in every direction; one that counts the zeros goes further."""
    method = LateSlope()
    settings = {"max_steps": 4, "weight_decay": 0.0, "final_weight_decay": 0.0}
    run_tiny(tmp_path, method=method, settings=settings)
    rate = read_metrics(tmp_path / "metrics.jsonl")[-1]["learning_rate/weight"]
    before = torch.tensor(method.calls[-3][2])
    torch.testing.assert_close(method.weight.detach(), before - rate)


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path):
    plain = {"dropout": 0.0, "queue": False}
    small, _ = run_tiny(
        tmp_path / "small",
        method=TinyMethod(**plain),
        batch_size=2,
        settings={"accumulate_steps": 3},
    )
    large, _ = run_tiny(tmp_path / "large", method=TinyMethod(**plain), batch_size=6)
    assert list(losses(tmp_path / "small").values()) == pytest.approx(
        list(losses(tmp_path / "large").values()), rel=1e-5
    )
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_weights_whatever_the_workers_and_what_ran_before(
    tmp_path: Path,
):
    one, _ = run_tiny(tmp_path / "a", settings={"seed": 4})
    torch.rand(17)
    other, _ = run_tiny(tmp_path / "b", settings={"seed": 4}, num_workers=2)
    third, _ = run_tiny(tmp_path / "c", settings={"seed": 5})
    assert torch.equal(one.state_dict()["to_code.weight"], other.state_dict()["to_code.weight"])
    assert not torch.equal(one.state_dict()["to_code.weight"], third.state_dict()["to_code.weight"])


def test_evaluation_is_logged_and_changes_nothing(tmp_path: Path):
    seen: list[tuple[int, bool]] = []

    def evaluate(method: Method, step: int) -> dict[str, float]:
        seen.append((step, method.training))
        torch.rand(3)
        return {"miou": 40.0 + step}

    settings = {"evaluate_every": 5}
    one, _ = run_tiny(tmp_path / "a", on_evaluate=evaluate, settings=settings)
    other, _ = run_tiny(tmp_path / "b")
    assert seen == [(5, False), (10, False), (12, False)]
    assert one.training
    assert torch.equal(one.state_dict()["to_code.weight"], other.state_dict()["to_code.weight"])
    rows = read_metrics(tmp_path / "a" / "metrics.jsonl")
    assert {r["step"]: r["evaluation/miou"] for r in rows if "evaluation/miou" in r} == {
        5: 45.0,
        10: 50.0,
        12: 52.0,
    }


def test_bf16_keeps_the_weights_in_float32_and_follows_the_float32_curve(tmp_path: Path):
    plain = {"dropout": 0.0, "queue": False}
    dtypes = set()

    class Watching(TinyMethod):
        def forward(self, batch: Tensor, step: int) -> StepOutput:
            dtypes.add(self.to_code(batch).dtype)
            return super().forward(batch, step)

    method, _ = run_tiny(tmp_path / "bf16", method=Watching(**plain), precision="bf16-mixed")
    run_tiny(tmp_path / "fp32", method=TinyMethod(**plain))
    assert dtypes == {torch.bfloat16}
    assert {p.dtype for p in method.parameters()} == {torch.float32}
    half, full = (list(losses(tmp_path / name).values()) for name in ("bf16", "fp32"))
    assert half != full
    assert half == pytest.approx(full, rel=0.03)


def test_compiled_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compile_with = torch.compile
    compiled = []

    def eager_compile(module: nn.Module, **_: object):
        compiled.append(module)
        return compile_with(module, backend="eager")

    monkeypatch.setattr(torch, "compile", eager_compile)
    plain = {"dropout": 0.0, "queue": False}
    method = TinyMethod(**plain)
    run_tiny(tmp_path / "a", method=method, settings={"compile": True, "max_steps": 3})
    run_tiny(tmp_path / "b", method=TinyMethod(**plain), settings={"max_steps": 3})
    assert all(module is method for module in compiled)
    assert compiled
    names = read_state_names(tmp_path / "a")
    assert names == read_state_names(tmp_path / "b")


def read_state_names(output_dir: Path) -> list[str]:
    newest = list_checkpoints(output_dir / "checkpoints")[-1]
    return list(torch.load(newest, weights_only=True)["state_dict"])


class BreaksAt(TinyMethod):
    """At one step a number goes wrong: the loss, the gradient only, or a weight afterwards."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__()
        self.what, self.at = what, at

    def forward(self, batch: Tensor, step: int) -> StepOutput:
        output = super().forward(batch, step)
        if step != self.at:
            return output
        if self.what == "loss":
            return StepOutput(output.loss * math.nan, output.logs)
        if self.what == "gradient":  # the square root of 0 has an infinite slope
            return StepOutput(output.loss + (self.to_code.bias.sum() * 0.0).sqrt(), output.logs)
        return output

    def after_step(self, step: int, momentum: float) -> None:
        super().after_step(step, momentum)
        if step == self.at and self.what == "weight":
            self.queue[0, 0] = math.inf


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("loss", r"the loss is nan at step 8"),
        ("gradient", r"the norm of the gradients is nan at step 8"),
        ("weight", r"queue holds NaN or infinity at step 8"),
    ],
)
def test_numbers_that_are_not_finite_stop_the_run(tmp_path: Path, what: str, message: str):
    settings = {"checkpoint_every": 2, "keep_checkpoints": 9, "clip_norm": 1.0}
    good = tmp_path / "checkpoints" / "step_00000006.pt"
    with pytest.raises(NonFiniteLoss, match=message + ".*last good checkpoint is") as caught:
        run_tiny(tmp_path, method=BreaksAt(what, at=7), settings=settings)
    assert (caught.value.step, caught.value.checkpoint) == (8, good)
    assert list_checkpoints(tmp_path / "checkpoints")[-1] == good
    _, summary = run_tiny(tmp_path, method=renamed(TinyMethod, "BreaksAt"), settings=settings)
    assert summary.steps == 12


def renamed(kind: type[TinyMethod], name: str) -> TinyMethod:
    return type(name, (kind,), {})()


def test_nan_before_the_first_checkpoint_says_so(tmp_path: Path):
    with pytest.raises(NonFiniteLoss, match="step 1"):
        run_tiny(tmp_path, method=BreaksAt("loss", at=0))


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path):
    """The second checkpoint is written onto /dev/full, where every write fails with ENOSPC."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "step_00000008.tmp").symlink_to("/dev/full")
    with pytest.raises(CheckpointWriteError) as caught:
        run_tiny(tmp_path, settings={"checkpoint_every": 4})
    assert "No space" in str(caught.value)
    assert f"the last good checkpoint is {folder / 'step_00000004.pt'}" in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["step_00000004.pt"]
    continued, _ = run_tiny(tmp_path, settings={"checkpoint_every": 4})
    whole, _ = run_tiny(tmp_path / "whole")
    assert torch.equal(continued.state_dict()["queue"], whole.state_dict()["queue"])


def test_a_broken_file_is_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    _, summary = run_tiny(tmp_path, vectors=Vectors(broken=(6, 7)), num_workers=2)
    assert sorted(summary.broken_samples) == [
        "image_6.jpg is truncated",
        "image_7.jpg is truncated",
    ]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert sorted(warnings) == [
        f"skipped a broken file: image_{i}.jpg is truncated" for i in (6, 7)
    ]
    assert read_metrics(tmp_path / "metrics.jsonl")[-1]["broken_samples"] == 2


@pytest.mark.parametrize("num_workers", [0, 1])
def test_no_readable_image(tmp_path: Path, num_workers: int):
    vectors = Vectors(3, broken=(0, 1, 2))
    with pytest.raises(ValueError, match="the 3 images"):
        run_tiny(tmp_path, vectors=vectors, num_workers=num_workers)


def test_no_images(tmp_path: Path):
    with pytest.raises(ValueError, match="holds no images"):
        run_tiny(tmp_path, vectors=Vectors(0))


def test_progress_reports_every_step(tmp_path: Path):
    reports = []

    @contextmanager
    def progress(completed: int, total: int):
        reports.append((completed, total))
        yield lambda step, loss, rate: reports.append((step, loss, rate > 0))

    run_tiny(tmp_path, settings={"max_steps": 3}, progress=progress)
    expected = [(step, loss, True) for step, loss in losses(tmp_path).items()]
    assert reports == [(0, 3), *expected]


def test_the_bar_shows_steps_loss_and_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes anything for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    with training_bar(2, 4) as report:
        report(3, 1.25, 8.0)
        report(4, 0.5, 16.0)
    shown = capsys.readouterr()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.err)
    assert "4/4 loss 0.5000  16.0 images/s" in plain
    assert shown.err.endswith("\x1b[2K"), "the bar is wiped at the end"
    assert shown.out == ""


def test_without_a_terminal_the_log_tells_of_the_training_twice_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    seconds = iter(range(0, 1000, 20))  # the clock of a run that takes 20 s a step
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    caplog.set_level("INFO")
    with training_bar(100, 105) as report:
        for step in range(101, 106):
            report(step, 1 / step, 0.2)
    assert [record.getMessage() for record in caplog.records] == [
        "training: 102 of 105 steps, loss 0.0098, 0.2 images/s, 60 s left",
        "training: 104 of 105 steps, loss 0.0096, 0.2 images/s, 20 s left",
    ]


def test_a_loader_for_other_processes_is_refused(tmp_path: Path):
    samples = SeededSamples(Vectors(), lambda x: x, seed=0)
    loader = TrainingLoader(samples, 4, rank=1, world_size=2)
    with pytest.raises(ValueError, match="process 1 of 2"):
        train(
            TinyMethod(),
            loader,
            TrainingSettings(max_steps=1),
            tmp_path,
            fabric=build_fabric("cpu"),
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup_steps": 12}, r"warmup_steps.*max_steps=12"),
    ],
)
def test_settings_out_of_range(tmp_path: Path, settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        run_tiny(tmp_path, settings=settings)
