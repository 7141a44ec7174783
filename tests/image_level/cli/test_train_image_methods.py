"""`leopart train method=…` for every image-level method: trained, evaluated, saved, loaded."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from leopart_kit.backbones import load_encoder
from leopart_kit.cli.train import main
from leopart_kit.image_level.networks.image_classifier import ImageClassifier, save_classifier
from leopart_kit.parts import list_parts
from leopart_kit.report import read_results
from leopart_kit.training import list_checkpoints, read_metrics
from leopart_kit.training.checkpoint import read_checkpoint_file
from tests.cli.command import error_of_command, run_command_line
from tests.cli.train_command import MODEL, TINY, write_images

SMALL = {
    "autoencoder": ("method.decoder_width=16",),
    "clip": (
        "method.captions=captions.csv",
        "method.vocabulary_size=300",
        "method.text_dim=16",
        "method.text_depth=1",
        "method.text_heads=2",
    ),
    "context_encoder": ("method.decoder_width=16",),
    "context_prediction": ("method.hidden_dim=16",),
    "deep_cluster": ("method.num_clusters=3", "method.pca_dim=4"),
    "dino": ("method.num_outputs=12", "method.hidden_dim=16", "method.out_dim=8"),
    "distillation": (
        f"method.teacher.name={MODEL}",
        "method.teacher.weights=teacher/backbone.safetensors",
        "method.teacher.head=teacher/head.safetensors",
    ),
    "exemplar": (),
    "ibot": (
        *("method.num_outputs=12", "method.hidden_dim=16", "method.out_dim=8"),
        "method.views.local.count=2",
    ),
    "mae": ("method.decoder_dim=16", "method.decoder_depth=1", "method.decoder_heads=2"),
    "moco_v2": ("method.queue_length=8", "method.hidden_dim=16"),
    "moco_v3": ("method.hidden_dim=16", "method.learning_rate=0.01"),
    "rotnet": (),
    "sela": ("method.num_heads=2", "method.num_labels=3", "method.num_labellings=2"),
    "simclr": ("method.hidden_dim=16",),
    "swav": ("method.num_prototypes=6", "method.hidden_dim=16", "method.queue_length=4"),
}
STATE = {
    "clip": {"_extra_state"},
    "deep_cluster": {"labels", "label_counts"},
    "dino": {"centre", "teacher.prototypes.weight"},
    "ibot": {"centre_patches", "student.mask_token"},
    "distillation": {"student.linear.weight", "student.norm.running_mean"},
    "moco_v2": {"queue.features", "queue.stored", "momentum_encoder.vit.cls_token"},
    "sela": {"labels"},
    "swav": {"queue.features", "queue.stored"},
}
TWO_STEPS = ("trainer.max_steps=2", "trainer.momentum=0.5", "trainer.checkpoint_every=2")


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a run writes lands in the repository."""
    monkeypatch.chdir(tmp_path)


def arguments(output_dir: Path, method: str, *overrides: str) -> list[str]:
    """A run of two steps on the six images of the folder `images`; later overrides win."""
    images = Path("images")
    if not images.exists():
        write_images(images)
        rows = [f"im{index}.png,image number {index}" for index in range(6)]
        Path("captions.csv").write_text("\n".join(["image,caption", *rows]))
        teacher = ImageClassifier(load_encoder(MODEL, "random", seed=1), 3)
        torch.nn.init.normal_(teacher.linear.weight)
        save_classifier(teacher, Path("teacher"), ("a", "b", "c"))
    # Of TINY all but the sizes of Leopart's head; every other method has sizes of its own.
    common = [setting for setting in TINY if not setting.startswith("method.")]
    own = ["dataset.root=images", f"output_dir={output_dir}"]
    chosen = {o.lstrip("+").partition("=")[0]: o for o in (*common, *own, *TWO_STEPS)}
    chosen |= {o.lstrip("+").partition("=")[0]: o for o in (*SMALL[method], *overrides)}
    return [f"method={method}", *chosen.values()]


def test_every_method_is_here():
    assert set(SMALL) == {*list_parts(["leopart_kit.image_level.methods"])}


@pytest.mark.parametrize("method", SMALL)
def test_a_method_trains_and_leaves_a_backbone_for_the_dense_protocols(tmp_path: Path, method: str):
    out = tmp_path / "out"
    run_command_line(main, "leopart train", arguments(out, method))
    rows = read_metrics(out / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    assert all(math.isfinite(row["loss"]) for row in rows)
    after = read_results(out / "evaluation" / "after")
    assert after["encoder"]["weights"] == str(out / "backbone.safetensors")
    assert (out / "report.html").exists()
    trained = load_encoder(MODEL, out / "backbone.safetensors").state_dict()
    start = load_encoder(MODEL, "random").state_dict()
    changed = [key for key, value in trained.items() if not torch.equal(value, start[key])]
    assert len(changed) > 20
    content = read_checkpoint_file(list_checkpoints(out / "checkpoints")[-1])
    assert STATE.get(method, set()) <= set(content["state_dict"])
    assert (out / "assignments.csv").exists() == (method in ("deep_cluster", "sela"))


def test_exemplars_may_be_a_part_of_the_images(tmp_path: Path):
    given = arguments(tmp_path / "out", "exemplar", "method.num_exemplars=4", "batch_size=2")
    run_command_line(main, "leopart train", given)
    state = read_checkpoint_file(list_checkpoints(tmp_path / "out" / "checkpoints")[-1])
    assert len(state["state_dict"]["classifier.weight"]) == 4


def test_dino_s_head_has_batch_norm_by_choice(tmp_path: Path):
    given = arguments(tmp_path / "out", "dino", "method.head_batch_norm=true")
    run_command_line(main, "leopart train", given)
    state = read_checkpoint_file(list_checkpoints(tmp_path / "out" / "checkpoints")[-1])
    name = "projection.layers.1.running_var"
    student, teacher = (state["state_dict"][f"{of}.{name}"] for of in ("student", "teacher"))
    assert (teacher != 1).all(), "it starts from the first batch, not from 1"
    assert not torch.equal(student, teacher)


def test_a_network_with_batch_norm_keeps_its_statistics(tmp_path: Path):
    given = arguments(tmp_path / "out", "rotnet", "encoder=resnet18_mini", "encoder.weights=random")
    given.remove(f"encoder.name={MODEL}")
    run_command_line(main, "leopart train", given)
    trained = load_encoder("resnet18_mini", tmp_path / "out" / "backbone.safetensors")
    means = trained.state_dict()["resnet.bn1.running_mean"]
    assert means.abs().max() > 0


@pytest.mark.parametrize(
    ("method", "overrides", "message"),
    [
        ("simclr", ["+method.tau=1"], "method has no setting 'tau'; it has .*temperature"),
        ("simclr", ["+method.views.image.blur=1"], "method.views.image has no setting 'blur'"),
        (
            "simclr",
            ["views.global_size=60"],
            "method.views.image.size=48 or 64",
        ),
        ("dino", ["views.local_size=40"], "method.views.local.size=32 or 48"),
        ("context_prediction", ["views.local_size=8"], "method.patch_size=16"),
        ("autoencoder", ["views.global_size=176"], "views of 176 px cannot be decoded"),
        ("exemplar", ["method.num_exemplars=7"], "num_exemplars=7: give 2 to 6, the images of"),
        ("deep_cluster", ["method.num_clusters=7"], "num_clusters 7 must lie .* the 6 images"),
        ("clip", ["method.captions=none.csv"], "none.csv does not exist"),
        ("distillation", ["method.teacher.head=none.safetensors"], "none.safetensors: no such"),
        (
            "distillation",
            ["method.teacher.head=teacher/backbone.safetensors"],
            "backbone.safetensors is no classifier's head, it lacks norm.running_mean: give the",
        ),
        (
            "distillation",
            ["method.teacher.name=resnet18_mini", "method.teacher.weights=random"],
            "vectors of 64 numbers, but those of resnet18_mini have 256",
        ),
        ("distillation", ["+method.teacher.depth=3"], "method.teacher has no setting 'depth'"),
        ("moco_v2", ["method.queue_length=0"], "method.queue_length must be at least 1"),
        (
            "moco_v3",
            ["method.views.second.count=0"],
            "method.views makes 1 .* takes 2: change the count of first or second",
        ),
        (
            "rotnet",
            ["method.views.image.count=2"],
            "method.views makes 2 .* takes 1: change the count of image",
        ),
        ("simclr", ["method.views.image.count=3"], "method.views makes 3 .* takes 2"),
        (
            "dino",
            ["method.views.first.count=0", "method.views.second.count=0"],
            "method.views.first.count must be at least 1",
        ),
        ("swav", ["method.views.global.count=0"], "method.views.global.count must be at least 1"),
    ],
)
def test_mistakes_are_told_in_one_line_before_any_evaluation(
    tmp_path: Path, method: str, overrides: list[str], message: str
):
    out = tmp_path / "out"
    line = error_of_command(main, "leopart train", arguments(out, method, *overrides))
    assert re.search(message, line), line
    assert not (out / "evaluation").exists()


def test_a_teacher_must_be_given(tmp_path: Path):
    given = [a for a in arguments(tmp_path / "out", "distillation") if "head" not in a]
    line = error_of_command(main, "leopart train", given)
    assert "method.teacher.head" in line


def test_captions_must_be_given(tmp_path: Path):
    given = [a for a in arguments(tmp_path / "out", "clip") if "captions" not in a]
    line = error_of_command(main, "leopart train", given)
    assert "method.captions" in line
