"""`leopart bench` with encoders that are trained first, by one budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.cli import trained
from leopart_kit.cli.benchmark import main
from leopart_kit.report import read_results
from tests.cli.command import run_command_line
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


def test_a_training_that_names_an_encoder_is_a_cell_that_says_so(folder: Path, tmp_path: Path):
    given = [
        'encoders={one: {name: test_vit, weights: random, trained: "encoder.seed=3"}}',
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f"output_dir={tmp_path / 'board'}",
    ]
    run_command_line(main, "leopart bench", given)
    assert "encoder" in rows(tmp_path / "board")["here"]["one"]["reason"]


def test_a_head_that_is_trained_is_measured_on_the_encoder_it_stands_on(
    folder: Path, tmp_path: Path
):
    words = "method=stego method.crop_size=32 batch_size=4 num_workers=0 trainer.max_steps=2"
    words += " evaluation.page_images=0 evaluation.protocol.num_clusters=3"
    words += f" dataset=folder dataset.root={folder}"
    given = [
        f'encoders={{head: {{name: test_vit, weights: random, trained: "{words}"}},'
        f' grid: {{name: test_vit, weights: random, block: 0, trained: "{words}"}},'
        f' rounds: {{name: test_vit, weights: random, trained: "{words} rounds=2"}}}}',
        f'benchmarks={{here: "dataset=folder dataset.root={folder}"}}',
        f'overrides="{TINY} protocol.pca_dim=4 protocol.num_clusters=5"', "page_images=0",
        f"output_dir={tmp_path / 'board'}",
    ]  # fmt: skip
    run_command_line(main, "leopart bench", given)
    encoder = read_results(tmp_path / "board/head/here")["settings"]["encoder"]
    assert encoder["factory"].endswith(":load_stego")
    assert encoder["factory_options"]["name"] == "test_vit"
    found = rows(tmp_path / "board")["here"]
    assert "block" in found["grid"]["reason"]
    assert "method=stego" in found["rounds"]["reason"]
