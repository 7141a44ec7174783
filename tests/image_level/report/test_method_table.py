"""The table of methods: figures by hand, what sets rows apart, and files that are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leopart_kit.image_level.report.method_table import (
    MethodRun,
    TrainingFacts,
    build_method_table,
    method_table_markdown,
    read_method_table,
    read_training,
    write_method_table,
    write_training,
)

FACTS = TrainingFacts(
    encoder="net",
    num_parameters=2_760_000,
    steps=100,
    planned_steps=100,
    recipe_steps=100,
    seconds=90.0,
    minutes_allowed=4,
    threads=2,
    device="cpu",
    texts=None,
    settings={"epochs": 20},
    identity="ab",
    backbone_sha256="cd",
)


def write_results(folder: Path, knn: float, layers: dict[str, tuple[float, float]]) -> Path:
    """Results with the accuracy and the held-out accuracy of every layer."""

    def score(evaluation: str, variant: str, mean: float, chosen: list[dict]) -> dict[str, Any]:
        spread = {"mean": mean, "std": 0.0, "per_seed": [mean], "chosen": chosen}
        return {"evaluation": evaluation, "variant": variant, "metric": "accuracy", **spread}

    linear = [
        score("linear", layer, accuracy, [{"validation_accuracy": held_out}])
        for layer, (accuracy, held_out) in layers.items()
    ]
    splits = {"name": "set", "train_split": "train", "test_split": "test"}
    counts = {"num_train": 5000, "num_test": 2500, "chance": 50.0, "class_names": ["a", "b"]}
    document = {
        "kind": "image_level",
        "schema_version": 1,
        "dataset": {**splits, **counts},
        "encoder": {},
        "settings": {},
        "scores": [score("knn", "output", knn, []), *linear],
        "labels_used": {},
        "timing_seconds": {},
        "peak_memory_mb": 1,
        "versions": {},
        "git_sha": "abc",
        "clusters": [],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[MethodRun]:
    """`mine` with two seeds, `other` with one that ended too soon and one that failed."""
    before = [
        write_results(
            tmp_path / f"before{seed}",
            30.0,
            {"first": (45.0, 43.0), "output": (40.0 + 2 * seed, 41.0)},
        )
        for seed in (0, 1)
    ]
    found = []
    for seed, accuracy in enumerate((50.0, 54.0)):
        layers = {"first": (60.0, 52.0), "output": (accuracy, 48.0)}
        folder = write_results(tmp_path / f"mine{seed}", 35.0 + seed, layers)
        write_training(replace(FACTS, seconds=60.0 * (seed + 2)), folder)
        found.append(MethodRun("mine", seed, folder, before[seed]))
    folder = write_results(
        tmp_path / "other", 20.0, {"first": (70.0, 60.0), "output": (70.0, 60.5)}
    )
    slow = replace(FACTS, steps=80, planned_steps=90, texts="captions")
    write_training(slow, folder)
    found.append(MethodRun("other", 0, folder, before[0]))
    found.append(MethodRun("other", 1, reason="it broke"))
    return [MethodRun("lost", 0, reason="no | data"), *found]


def test_figures_by_hand(runs: list[MethodRun]):
    table = build_method_table(runs)
    assert [row["method"] for row in table["rows"]] == ["other", "mine", "lost"]
    mine = table["rows"][1]
    assert mine["layers"] == ["first", "first"], "chosen on held-out training images"
    assert mine["best_layer"]["per_seed"] == [60.0, 60.0]
    assert mine["best_layer_untrained"]["per_seed"] == [45.0, 45.0]
    assert mine["linear"] == {"mean": 52.0, "std": 2.83, "per_seed": [50.0, 54.0]}
    assert mine["linear_untrained"]["per_seed"] == [40.0, 42.0]
    assert mine["gain"] == {"mean": 11.0, "std": 1.41, "per_seed": [10.0, 12.0]}
    assert mine["knn"]["mean"] == 35.5
    assert table["rows"][2] == {
        "method": "lost",
        "failures": [{"seed": 0, "reason": "no | data"}],
    }


def test_the_markdown_says_it_all(runs: list[MethodRun]):
    text = method_table_markdown(build_method_table(runs))
    assert (
        "| `mine` | `net` | 2.8 M | 2.5 | 100, 100 of 100 | 41.0 ± 1.4 → 52.0 ± 2.8 | "
        "+11.0 ± 1.4 | 45.0 ± 0.0 → 60.0 ± 0.0 | 30.0 ± 0.0 → 35.5 ± 0.7 |"
    ) in text
    assert (
        "| `other` | `net` | 2.8 M | 1.5 | 80 (90) of 100 | 40.0 → 70.0 | +30.0 | "
        "45.0 → 70.0 | 30.0 → 20.0 |"
    ) in text, "80 steps of 90 planned, of the recipe's 100"
    assert "| `lost` | not trained: no \\| data |  |  |  |  |  |  |  |" in text
    assert "5,000 training and 2,500 test images, 2 classes, chance 50.0 %" in text
    assert "at most 4 minutes (cpu, threads: 2)" in text
    assert "standard error of up to 1.0 points" in text, "sqrt(0.25 / 2500)"
    assert "- `other` with seed 1 was not trained: it broke" in text
    assert "- `mine`" not in text


def test_the_image_vector_must_have_been_measured(runs: list[MethodRun]):
    assert runs[1].folder is not None
    write_results(runs[1].folder, 30.0, {"first": (60.0, 50.0)})
    with pytest.raises(ValueError, match="mine0"):
        build_method_table(runs)


def test_a_table_without_a_figure_has_its_reasons():
    text = method_table_markdown(build_method_table([MethodRun("lost", 0, reason="no data")]))
    assert text.startswith("| method |")
    assert "not trained: no data" in text


def test_a_written_table_comes_back_and_another_file_is_refused(
    runs: list[MethodRun], tmp_path: Path
):
    table = build_method_table(runs)
    path = write_method_table(table, tmp_path / "methods.json")
    assert read_method_table(path) == table
    path.write_text('{"schema_version": 1}')
    with pytest.raises(ValueError, match=r"methods\.json"):
        read_method_table(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"methods\.json"):
        read_method_table(path)
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_method_table(tmp_path / "none.json")


def test_facts_of_another_release_are_refused(tmp_path: Path):
    path = write_training(FACTS, tmp_path)
    assert read_training(tmp_path) == FACTS
    path.write_text(json.dumps({"encoder": "net"}))
    with pytest.raises(ValueError, match=r"training\.json"):
        read_training(tmp_path)
