"""What one command leaves is what the next one reads: teachers, and clusters of a training."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from leopart_kit.cli.train import main as train_main
from leopart_kit.image_level.cli.eval_image_level import main as evaluate_main
from leopart_kit.image_level.report import read_image_level
from leopart_kit.training import read_metrics
from tests.cli.command import run_command_line
from tests.cli.train_command import MODEL, TINY
from tests.image_level.evaluation.tiny_images import write_colours
from tests.methods.tiny_clusterer import patchy_images

NETWORK = ("encoder=timm", f"encoder.name={MODEL}", "encoder.weights=random")


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_colours(tmp_path / "data", "train", 4)
    write_colours(tmp_path / "data", "test", 2)


def train(*overrides: str) -> None:
    given = {o.lstrip("+").partition("=")[0] for o in overrides}
    common = [o for o in TINY if not o.startswith("method.") and o.partition("=")[0] not in given]
    run_command_line(train_main, "leopart train", [*common, *overrides])


def test_a_fine_tuned_classifier_teaches_on_crops_of_one_photo(tmp_path: Path):
    evaluate = [
        *NETWORK, "dataset.root=data", "output_dir=teacher", "protocol.seeds=[0,1]",
        "protocol.evaluations=[fine_tuning]", "protocol.resolution=32",
        "protocol.fine_tuning.epochs=1", "protocol.fine_tuning.min_steps=4",
    ]  # fmt: skip
    run_command_line(evaluate_main, "leopart image", evaluate)
    head = tmp_path / "teacher" / "fine_tuned" / "head.safetensors"
    with safe_open(head, "pt") as file:
        assert file.metadata()["class_names"] == '["blue", "green", "red"]'
        assert file.get_tensor("linear.weight").shape == (3, 64)
    pixels = patchy_images(1, 0, 128)[0].permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save("photo.png")
    train(
        "method=distillation", "dataset=single_image", "dataset.root=photo.png",
        "dataset.length=8", "views.global_size=32", "output_dir=student",
        "trainer.max_steps=2", f"method.teacher.name={MODEL}",
        "method.teacher.weights=teacher/fine_tuned/backbone.safetensors",
        "method.teacher.head=teacher/fine_tuned/head.safetensors",
    )  # fmt: skip
    rows = read_metrics(tmp_path / "student" / "metrics.jsonl")
    assert rows[0]["loss"] > 0, "the teacher has learned something, the student knows nothing"
    assert 0 <= rows[-1]["agreement"] <= 1
    assert (tmp_path / "student" / "backbone.safetensors").exists()


@pytest.mark.parametrize(
    "method",
    [
        ("method=sela", "method.num_heads=2", "method.num_labels=3", "method.num_labellings=2"),
        ("method=deep_cluster", "method.num_clusters=3", "method.pca_dim=4"),
    ],
    ids=["sela", "deep_cluster"],
)
def test_clusters_of_a_training_are_evaluated(tmp_path: Path, method: tuple[str, ...]):
    data = ("dataset=image_folder_classes", "dataset.root=data", "dataset.split=train")
    train(*method, *data, "output_dir=trained", "views.global_size=32", "trainer.max_steps=2")
    with (tmp_path / "trained" / "assignments.csv").open(newline="") as file:
        clusters = {row["name"]: int(row["cluster"]) for row in csv.DictReader(file)}
    assert len(clusters) == 12
    assert set(clusters.values()) <= {0, 1, 2}
    evaluate = [
        "dataset.root=data", "test_split=train", "output_dir=out",
        "protocol.evaluations=[clusters]", "assignments=trained/assignments.csv",
    ]  # fmt: skip
    run_command_line(evaluate_main, "leopart image", evaluate)
    results = read_image_level(tmp_path / "out")
    assert results["scores"][0]["variant"] == f"K = {len(set(clusters.values()))}, given"
    sizes = {view["id"]: view["size"] for view in results["clusters"]}
    assert sizes == {k: list(clusters.values()).count(k) for k in set(clusters.values())}
