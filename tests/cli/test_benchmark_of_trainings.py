"""`leopart bench` with encoders that are trained first, by one budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.cli import trained
from leopart_kit.cli.benchmark import main
from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.report import read_results
from tests.cli.command import error_of_command, run_command_line
from tests.cli.test_benchmark import TINY, rows
from tests.cli.train_command import LEOPART
from tests.cli.train_command import TINY as TRAINING


def test_methods_are_trained_once_and_measured_beside_their_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    short = [w for w in TRAINING if not w.startswith(("encoder", "evaluation.page", "trainer.max"))]
    words = " ".join([*short, *LEOPART, f"dataset=folder dataset.root={folder}"])
    start = "name: test_vit, weights: random, seed: 5"
    taught = [f'{start}, trained: "{words} trainer.max_steps={n}"' for n in (1, 2)]
    given = [
        f"encoders={{start: {{{start}}}, one: {{{taught[0]}}}, two: {{{taught[1]}}}}}",
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f'overrides="{TINY} protocol.pca_dim=4 protocol.num_clusters=5"', "page_images=0",
        f"output_dir={tmp_path / 'board'}",
    ]  # fmt: skip
    run_command_line(main, "leopart bench", given)
    cells = [read_results(tmp_path / "board" / name / "here") for name in ("start", "one", "two")]
    assert len({cell["encoder"]["sha256"] for cell in cells}) == 3
    results = cells[-1]
    backbone = tmp_path / "board/two/training/backbone.safetensors"
    assert results["encoder"]["weights"] == str(backbone)
    assert results["settings"]["encoder"]["name"] == "test_vit"

    def refuse(*arguments: object) -> None:
        raise AssertionError("it was trained before")

    monkeypatch.setattr(trained, "run_rounds", refuse)
    run_command_line(main, "leopart bench", given)


@pytest.mark.parametrize(
    ("entry", "more", "told"),
    [
        ('trained: "encoder.seed=3"', "", "leave out encoder="),
        ('trained: "method=leopart output_dir=/tmp/x"', "", "output_dir=/tmp/x"),
        ('trained: "method=leopart"', "+output_dir=/tmp/x", "output_dir=/tmp/x"),
        ('trained: "method=lepart"', "", "leopart"),
        ('trained: "method=leopart method.num_prototype=3"', "", "num_prototypes"),
        ('trained: "method=leopart trainer.max_steps=none"', "", "trainer.max_steps"),
        ('trained: "method=leopart"', "evaluation.dataset.limit=24", "evaluation.dataset"),
        ('trained: "method=leopart rounds=2 seed=1", training_seeds: [0, 1]', "", "seed"),
        ('trained: "method=leopart", training_seeds: [0, 1]', "seed=1", "seed"),
        ('trained: "method=leopart", training_seeds: [1, 1]', "", "training_seeds"),
        ("training_seeds: [0, 1]", "", "training_seeds"),
        ('trained: "method=stego rounds=2"', "", "method=stego"),
    ],
)
def test_a_training_that_does_not_fit_is_told_before_anything_is_measured(
    folder: Path, tmp_path: Path, entry: str, more: str, told: str
):
    entry = entry.replace('trained: "', f'trained: "dataset=folder dataset.root={folder} ')
    start = "name: test_vit, weights: random"
    error = error_of_command(main, "leopart bench", [
        f"encoders={{start: {{name: handcrafted}}, one: {{{start}, {entry}}}}}",
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f'training="{more}"', f"output_dir={tmp_path / 'board'}",
    ])  # fmt: skip
    assert told in error
    assert "encoders" in error
    assert not list((tmp_path / "board").rglob("results.json"))


def test_a_head_that_is_trained_is_measured_on_the_encoder_it_stands_on(
    folder: Path, tmp_path: Path
):
    words = "method=stego method.crop_size=32 batch_size=4 num_workers=0 trainer.max_steps=2"
    words += " evaluation.page_images=0 evaluation.protocol.num_clusters=3"
    words += f" dataset=folder dataset.root={folder}"
    given = [
        f'encoders={{head: {{name: test_vit, weights: random, block: 2, trained: "{words}"}}}}',
        "precision=bf16",
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f'overrides="{TINY} protocol.pca_dim=4 protocol.num_clusters=5"', "page_images=0",
        f"output_dir={tmp_path / 'board'}",
    ]  # fmt: skip
    run_command_line(main, "leopart bench", given)
    settings = read_results(tmp_path / "board/head/here")["settings"]
    encoder = settings["encoder"]
    assert encoder["factory"].endswith(":load_stego")
    assert encoder["factory_options"]["name"] == "test_vit"
    assert encoder["factory_options"]["block"] == 2
    assert settings["precision"] == "bf16"


def test_without_a_data_set_each_is_trained_anew_on_the_images_of_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, seed in (("one", 0), ("two", 1)):
        generator = SceneGenerator((96, 96), seed=seed)
        write_voc(tmp_path / name / "VOC2012", generator, {"train": 12, "val": 8})
    short = [w for w in TRAINING if not w.startswith(("encoder", "evaluation.page", "trainer.max"))]
    words = " ".join([*short, *LEOPART, "trainer.max_steps=2"])
    roots = {name: tmp_path / name / "VOC2012" for name in ("one", "two", "none")}
    data = {
        "few": f"dataset=voc dataset.root={roots['one']} dataset.limit=6 protocol.num_clusters=22",
        "more": f"dataset=voc dataset.root={roots['one']} protocol.num_clusters=30",
        "other": f"dataset=voc dataset.root={roots['two']} protocol.num_clusters=22",
        "lost": f"dataset=voc dataset.root={roots['none']}",
    }
    listed = ", ".join(f'{name}: "{given}"' for name, given in data.items())
    given = [
        f'encoders={{mine: {{name: test_vit, weights: random, trained: "{words}", '
        "training_seeds: [3, 4]}}",
        f"benchmarks={{{listed}}}",
        f'overrides="{TINY} protocol.pca_dim=4"', "page_images=1",
        f"output_dir={tmp_path / 'board'}",
    ]  # fmt: skip
    run_command_line(main, "leopart bench", given)
    board = tmp_path / "board"
    trainings = sorted(p.parent.relative_to(board) for p in board.rglob("identity.json"))
    assert [str(path) for path in trainings] == [
        f"mine/training/{images}/seed_{seed}" for images in ("other", "voc") for seed in (3, 4)
    ]
    for name in ("few", "more", "other"):
        results = [read_results(board / "mine" / name / f"seed_{seed}") for seed in (3, 4)]
        means = [result["scores"][0]["miou"]["mean"] for result in results]
        row = rows(board)[name]["mine"]
        assert row["miou"]["mean"] == pytest.approx(sum(means) / 2, abs=0.01)
        assert row["miou"]["std"] == pytest.approx(abs(means[0] - means[1]) / 2**0.5, abs=0.01)
        assert row["training"]["number"] == row["training"]["asked"] == row["num_seeds"] == 2
        assert row["training"]["steps"] == 2
        assert row["training"]["peak_memory_mb"] > 50
        assert len({result["encoder"]["sha256"] for result in results}) == 2
    same = [read_results(board / "mine" / name / "seed_3") for name in ("few", "more", "other")]
    weights = [result["encoder"]["sha256"] for result in same]
    assert weights[0] == weights[1] != weights[2]
    assert str(roots["none"]) in rows(board)["lost"]["mine"]["reason"]
    assert "mine/few/seed_3/report.html" in (board / "leaderboard.html").read_text()
    assert "`mine`, 2 trainings" in (board / "leaderboard.md").read_text()

    def refuse(*arguments: object) -> None:
        raise AssertionError("it was trained before")

    monkeypatch.setattr(trained, "run_rounds", refuse)
    run_command_line(main, "leopart bench", given)


def test_no_benchmark_lies_in_the_folder_of_trainings(folder: Path, tmp_path: Path):
    error = error_of_command(main, "leopart bench", [
        'encoders={one: {name: test_vit, weights: random, trained: "method=leopart"}}',
        f'benchmarks={{training: "dataset=folder dataset.root={folder}"}}',
        f"output_dir={tmp_path / 'board'}",
    ])  # fmt: skip
    assert "choose another name" in error


def test_a_folder_without_splits_is_no_training_set(folder: Path, tmp_path: Path):
    error = error_of_command(main, "leopart bench", [
        'encoders={one: {name: test_vit, weights: random, trained: "method=leopart"}}',
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f"output_dir={tmp_path / 'board'}",
    ])  # fmt: skip
    assert "no split 'train'" in error
    assert "no split 'train'" in rows(tmp_path / "board")["here"]["one"]["reason"]
