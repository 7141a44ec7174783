"""`leopart train` from the command line: what it leaves, how it goes on, and how it fails."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from leopart_kit.backbones import load_encoder, read_checkpoint
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.methods import Leopart
from leopart_kit.report import read_results, wording
from leopart_kit.training import list_checkpoints, read_metrics
from leopart_kit.training.checkpoint import read_checkpoint_file
from tests.cli.train_command import (
    ANCHORED,
    LEOPART,
    MODEL,
    SIDE,
    arguments,
    error_of_training,
    leopart_train,
    write_images,
)
from tests.training.test_training_resume import assert_same, environment, last_state

KINDS = {"leopart": LEOPART, "anchored_leopart": ANCHORED}


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a run writes lands in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, images: Path, tmp_path_factory) -> Path:
    """The output folder of a finished run of each method."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    leopart_train(images, folder, *KINDS[request.param], "+encoder.seed=3")
    return folder


def student_state(run: Path) -> dict[str, Tensor]:
    prefix = "student.backbone.vit."
    state = last_state(run)["state_dict"]
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def some_images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_a_run_leaves_all_it_should(run: Path):
    steps = [path.name for path in list_checkpoints(run / "checkpoints")]
    assert steps == ["step_00000002.pt", "step_00000004.pt"]
    rows = read_metrics(run / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(math.isfinite(row["loss"]) and row["broken_samples"] == 0 for row in rows)
    table = (run / "metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in table] == ["step", "1", "2", "3", "4"]
    before, after = (read_results(run / "evaluation" / name) for name in ("before", "after"))
    assert before["encoder"]["weights"] == "random"
    assert after["encoder"]["weights"] == str(run / "backbone.safetensors")
    page = (run / "report.html").read_text()
    assert "leopart train" in page
    assert "evaluation.page_images=2" in page, "the command to repeat it"
    log = (run / "train.log").read_text()
    assert "4 steps, " in log
    leftovers = [path.name for path in run.iterdir() if path.name.startswith(("tmp", "."))]
    assert leftovers == []


def test_the_backbone_is_the_trained_student(run: Path):
    saved = load_file(run / "backbone.safetensors")
    assert_same(saved, student_state(run))
    untrained = dict(load_encoder(MODEL, "random", seed=3).state_dict())
    changed = {key for key in saved if not torch.equal(saved[key], untrained[f"vit.{key}"])}
    blocks = {key.split(".")[1] for key in changed if key.startswith("blocks.")}
    anchored = run.name == "anchored_leopart"  # trains the last 2 blocks alone
    assert blocks == {str(index) for index in range(4 if anchored else 0, 6)}
    assert ("patch_embed.proj.weight" in changed) == (not anchored)


def test_a_backbone_of_half_precision(images: Path, tmp_path: Path):
    leopart_train(images, tmp_path / "out", *ANCHORED, "backbone_precision=fp16")
    path = tmp_path / "out" / "backbone.safetensors"
    trained = student_state(tmp_path / "out")
    assert_same(load_file(path), {key: value.half() for key, value in trained.items()})
    assert load_encoder(MODEL, path).patch_tokens(some_images()).isfinite().all()


def test_a_weight_that_half_precision_cannot_hold_is_named(tmp_path: Path):
    encoder = load_encoder("vitmini8")
    state = dict(encoder.named_parameters())
    with torch.no_grad():
        state["vit.patch_embed.proj.weight"][0, 0, 0, 0] = 1e5
    with pytest.raises(ValueError, match="patch_embed"):
        save_backbone(encoder, tmp_path / "backbone.safetensors", "fp16")
    assert not (tmp_path / "backbone.safetensors").exists()


def test_the_backbone_loads_here_and_in_plain_timm(run: Path):
    path = run / "backbone.safetensors"
    model: Any = timm.create_model(MODEL, num_classes=0).eval()
    model.load_state_dict(load_file(path), strict=True)
    encoder = load_encoder(MODEL, path)
    # At the size the model is made for there is nothing to resize.
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = model.forward_features(images)[:, 1:].transpose(1, 2).unflatten(2, (10, 10))
        torch.testing.assert_close(encoder.patch_tokens(images), tokens, rtol=1e-4, atol=1e-4)


def test_the_training_checkpoint_is_read_as_weights_too(run: Path):
    checkpoint = list_checkpoints(run / "checkpoints")[-1]
    state, report = read_checkpoint(checkpoint)
    assert report.layout == "training checkpoint of leopart_kit"
    assert_same(dict(state), student_state(run))
    of_file = load_encoder(MODEL, run / "backbone.safetensors").patch_tokens(some_images())
    of_checkpoint = load_encoder(MODEL, checkpoint).patch_tokens(some_images())
    assert torch.equal(of_checkpoint, of_file)
    if run.name == "leopart":
        teacher, _ = read_checkpoint(checkpoint, "teacher")
        own = last_state(run)["state_dict"]
        assert all(torch.equal(own[f"teacher.backbone.vit.{k}"], v) for k, v in teacher.items())
        assert any(not torch.equal(state[key], teacher[key]) for key in state)
    else:
        with pytest.raises(ValueError, match="teacher"):
            read_checkpoint(checkpoint, "teacher")


def test_the_teacher_of_a_run_with_warm_start_and_its_queue_are_in_the_checkpoint(
    images: Path, tmp_path: Path
):
    overrides = ("method.warm_start=true", "trainer.resume=never", "trainer.max_steps=1")
    own = "method.warm_start_resolution=[64,48]"
    leopart_train(images, tmp_path / "out", *LEOPART, *overrides, own)
    (store,) = (tmp_path / "out" / "features").glob("*/store.json")
    assert json.loads(store.read_text())["resolution"] == [64, 48]
    content = read_checkpoint_file(list_checkpoints(tmp_path / "out" / "checkpoints")[-1])
    state = content["state_dict"]
    assert state["queue.features"].shape == (2, 12, 8)
    assert state["queue.stored"].tolist() == [12, 12]
    # PCA of tokens leaves no component near zero; a random start has weights of 0.02.
    assert state["teacher.projection.linear.weight"].norm(dim=1).min() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_started_again_it_ends_with_the_same_weights(
    images: Path, tmp_path: Path, kind: str
):
    overrides = (*KINDS[kind], "trainer.max_steps=14", "trainer.checkpoint_every=3")
    cut_off, whole = tmp_path / "cut_off", tmp_path / "whole"
    program = "from leopart_kit.cli.train import main; main()"
    environ = {**environment(), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments(images, cut_off, *overrides)],
        env=environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    metrics, deadline = cut_off / "metrics.jsonl", time.monotonic() + 100
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < 5:
        assert process.poll() is None, "the run ended before the signal"
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(timeout=1800) == -signal.SIGKILL
    assert 0 < last_state(cut_off)["step"] < 14
    assert not (cut_off / "backbone.safetensors").exists()

    leopart_train(images, cut_off, *overrides)
    leopart_train(images, whole, *overrides)
    assert_same(last_state(cut_off), last_state(whole))
    backbones = [load_file(folder / "backbone.safetensors") for folder in (cut_off, whole)]
    assert_same(backbones[0], backbones[1])
    losses = [[row["loss"] for row in read_metrics(f / "metrics.jsonl")] for f in (cut_off, whole)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 14


def test_with_a_labelled_set_there_are_scores_before_after_and_on_the_way(
    images: Path, tmp_path: Path
):
    write_images(tmp_path / "labelled" / "images", num=6, seed=1)
    (tmp_path / "labelled" / "masks").mkdir()
    generator = np.random.default_rng(0)
    for index in range(6):
        ids = generator.integers(0, 2, (4, 4), np.uint8).repeat(12, 0).repeat(12, 1)
        Image.fromarray(ids).save(tmp_path / "labelled" / "masks" / f"im{index}.png")
    labelled = (
        "dataset@evaluation.dataset=folder",
        f"evaluation.dataset.root={tmp_path / 'labelled'}",
        "trainer.evaluate_every=2",
    )
    fast = (*ANCHORED, "method.backbone_learning_rate=0.02")
    out = tmp_path / "out"
    leopart_train(images, out, *fast, *labelled)
    results = [read_results(out / "evaluation" / name) for name in ("before", "step_2", "after")]
    scores = [result["metrics"]["miou"]["mean"] for result in results]
    assert len(set(scores)) == 3
    assert all(10 < score < 90 for score in scores)
    logged = [row for row in read_metrics(out / "metrics.jsonl") if "evaluation/miou" in row]
    assert [(row["step"], row["evaluation/miou"]) for row in logged] == [(2, scores[1])]
    assert f"miou: {scores[0]:.1f} → {scores[2]:.1f}" in (out / "train.log").read_text()
    # Evaluating on the way changes nothing of the training.
    leopart_train(images, tmp_path / "alone", *fast)
    assert_same(
        load_file(out / "backbone.safetensors"),
        load_file(tmp_path / "alone" / "backbone.safetensors"),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupt_file_among_many_is_named_skipped_and_counted(tmp_path: Path, kind: str):
    images = write_images(tmp_path / "images")
    (images / "im3.png").write_bytes((images / "im3.png").read_bytes()[:100])
    out = tmp_path / "out"
    leopart_train(images, out, *KINDS[kind], "evaluation.unlabelled_images=2")
    log = (out / "train.log").read_text()
    assert str(images / "im3.png") in log
    if kind == "leopart":
        assert f"skipped a broken file: {images / 'im3.png'}" in log
        assert "1 broken" in log
        assert read_metrics(out / "metrics.jsonl")[-1]["broken_samples"] == 1
    else:  # its tokens are missing, so it is no image of the training at all
        assert "1 of 6" in log


def test_small_images_are_enlarged(tmp_path: Path):
    images = write_images(tmp_path / "images", num=3, size=18)
    leopart_train(images, tmp_path / "out", *LEOPART, "trainer.max_steps=1")
    assert read_metrics(tmp_path / "out" / "metrics.jsonl")[0]["loss"] > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.root=nowhere"], "nowhere is not a folder; set the root of the data set"),
        (["dataset.root=empty"], "empty holds no image"),
        (["method=byol"], "method 'byol'.* autoencoder"),
        (["method.name=byol"], "method 'byol'"),
        (["recipe=fast"], "recipe 'fast'.* leopart_cpu_minutes"),
        (
            ["views.global_size=60"],
            "views.global_size=48 or 64",
        ),
        (["views.local_size=40"], "views.local_size=32 or 48"),
        (["+views.flip=1"], "views has no setting 'flip'; it has .*flip_probability"),
        (
            ["method.warm_start=true", "method.projection=mlp"],
            "warm_start=true needs projection=linear",
        ),
        (["method.foreground=front"], "method.foreground must be .*, got 'front'"),
        (["+method.tau=1"], "method has no setting 'tau'; it has .*temperature"),
        ([*ANCHORED, "+method.tau=1"], "method has no setting 'tau'; it has .*temperature"),
        (["+trainer.steps=1"], "trainer has no setting 'steps'"),
        (["trainer.max_steps=0"], "max_steps must be at least 1, got 0"),
        (["method.trained_blocks=13"], "trained_blocks 13: test_vit has 6 blocks"),
        (["precision=fp16"], "precision .* got 'fp16'"),
        (["backbone_precision=int8"], "backbone_precision .* got 'int8'"),
        (["num_workers=many"], "num_workers .* got 'many'"),
        (["logger=tensorboards"], "tensorboards.* tensorboard\\b"),
        (["batch_size=0"], "batch_size must be at least 1, got 0"),
        ([*ANCHORED, "method.num_prototypes=5000"], "5000 clusters"),
    ],
)
def test_mistakes_are_told_in_one_line(
    images: Path, tmp_path: Path, overrides: list[str], message: str
):
    (tmp_path / "empty").mkdir()
    method = () if overrides[0] in ANCHORED else LEOPART
    line = error_of_training(images, tmp_path / "out", *method, *overrides)
    assert re.search(message, line), line


def test_mistakes_show_before_anything_is_evaluated(images: Path, tmp_path: Path):
    for mistake in ("method.warm_start=true", "method.name=byol", "+method.tau=1"):
        error_of_training(images, tmp_path / "out", mistake)
    assert not (tmp_path / "out" / "evaluation").exists()


def test_a_folder_of_another_run_is_refused(images: Path, tmp_path: Path):
    out = tmp_path / "out"
    leopart_train(images, out, *ANCHORED)
    line = error_of_training(images, out, *ANCHORED, "method.num_prototypes=7")
    assert "method.num_prototypes" in line
    assert "method.name is" in error_of_training(images, out, *LEOPART)
    line = error_of_training(images, out, *ANCHORED, "trainer.resume=never")
    assert "earlier run" in line


def test_a_loss_that_is_not_finite_ends_in_one_line(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forward = Leopart.forward

    def spoilt(self, batch, step):
        output = forward(self, batch, step)
        return output._replace(loss=output.loss * float("nan")) if step == 2 else output

    monkeypatch.setattr(Leopart, "forward", spoilt)
    line = error_of_training(images, tmp_path / "out", *LEOPART)
    good = tmp_path / "out" / "checkpoints" / "step_00000002.pt"
    assert line.startswith(f"error: the loss is nan at step 3; the last good checkpoint is {good}")


def test_a_signal_ends_in_one_line_that_tells_how_to_go_on(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    forward = Leopart.forward

    def signalled(self, batch, step):
        if step == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, batch, step)

    monkeypatch.setattr(Leopart, "forward", signalled)
    line = error_of_training(images, tmp_path / "out", *LEOPART)
    assert "SIGTERM after step 1" in line


def test_a_full_disk_ends_in_one_line_and_the_previous_checkpoint_survives(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    replace, written = os.replace, []

    def full(source, target):
        if str(target).endswith(".pt"):
            written.append(target)
            if len(written) == 2:
                raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    line = error_of_training(images, tmp_path / "out", *LEOPART)
    good = tmp_path / "out" / "checkpoints" / "step_00000002.pt"
    assert "No space left" in line
    assert read_checkpoint_file(good)["step"] == 2


def test_the_papers_evaluations_follow_with_the_expected_figure_beside_each(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_voc(tmp_path / "VOC2012", SceneGenerator((64, 64)), {"val": 2})
    leopart_train(
        images,
        tmp_path / "out",
        *ANCHORED,
        "reproduce.benchmarks=[cityscapes27,voc_k21]",
        f"reproduce.roots.voc={tmp_path / 'VOC2012'}",
        "+reproduce.expected.voc_k21=12.5",
    )
    miou = read_results(tmp_path / "out" / "evaluation" / "voc_k21")["metrics"]["miou"]["mean"]
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines() if line.split()}
    assert "12.5" in lines["voc_k21"]
    assert wording.signed(miou - 12.5) in lines["voc_k21"]
    assert "not run" in lines["cityscapes27"]
    log = (tmp_path / "out" / "train.log").read_text()
    assert "cityscapes27" in log
    assert "set reproduce.roots.cityscapes=DIR" in log


def test_an_unknown_benchmark_shows_before_training(images: Path, tmp_path: Path):
    line = error_of_training(images, tmp_path / "out", *ANCHORED, "reproduce.benchmarks=[voc_k2]")
    assert "unknown benchmark 'voc_k2'" in line
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


def test_a_training_that_has_ended_has_no_rate(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    images = write_images(tmp_path / "images")
    for rate in (True, False):
        leopart_train(images, tmp_path / "out", *LEOPART, "trainer.max_steps=2")
        printed = capfd.readouterr().err
        assert ("2 steps, " in printed) == rate
        assert "nan images" not in printed
