"""`leopart compare`: runs that are kept, runs that fail alone, and the table."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.image_level.cli import compare_methods
from leopart_kit.image_level.cli.compare_methods import main
from leopart_kit.image_level.report import read_image_level
from leopart_kit.image_level.report.method_table import read_training
from leopart_kit.training import TrainingInterrupted
from tests.cli.command import error_of_command
from tests.image_level.cli.compare_command import ONE, SMALL, compare, instead, rows


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were trained into since."""
    folders: list[str] = []
    original = compare_methods.train_within

    def counted(config, seconds, folder):
        folders.append(f"{folder.parent.name}/{folder.name}")
        return original(config, seconds, folder)

    monkeypatch.setattr(compare_methods, "train_within", counted)
    return folders


def test_a_row_has_the_figures_of_its_runs_and_a_second_call_reuses_them(
    comparison: list[str], tmp_path: Path, trained: list[str]
):
    comparison += ["seeds_of={simclr: [0, 1]}"]
    compare(*comparison)
    assert trained == ["rotnet/seed_0", "simclr/seed_0", "simclr/seed_1"]
    row = rows(tmp_path)["simclr"]
    assert (row["seeds"], row["steps"], row["recipe_steps"]) == ([0, 1], [3, 3], [3, 3])
    folder = tmp_path / "out" / "simclr" / "seed_1"
    scores = {s["evaluation"]: s["mean"] for s in read_image_level(folder)["scores"]}
    assert row["knn"]["per_seed"][1] == pytest.approx(scores["knn"], abs=0.01)
    assert row["linear"]["per_seed"][1] == pytest.approx(scores["linear"], abs=0.01)
    for seed in (0, 1):
        start = load_encoder("test_vit", "random", seed=seed)
        before = tmp_path / "out" / "untrained" / f"test_vit_{start.fingerprint()[:12]}"
        linear = next(s for s in read_image_level(before)["scores"] if s["evaluation"] == "linear")
        assert row["linear_untrained"]["per_seed"][seed] == pytest.approx(linear["mean"], abs=0.01)
        gain = row["linear"]["per_seed"][seed] - row["linear_untrained"]["per_seed"][seed]
        assert row["gain"]["per_seed"][seed] == pytest.approx(gain, abs=0.02)
    assert len(list((tmp_path / "out" / "untrained").iterdir())) == 2, "shared by the methods"
    text = (tmp_path / "out" / "methods.md").read_text()
    compare(*comparison)
    assert len(trained) == 3
    assert (tmp_path / "out" / "methods.md").read_text() == text


def test_other_settings_are_trained_anew_and_other_measurements_are_not(
    comparison: list[str], tmp_path: Path, trained: list[str]
):
    compare(*instead(comparison, ONE))
    compare(*instead(comparison, ONE, comparison[-1].replace("epochs=2", "epochs=3")))
    assert trained == ["rotnet/seed_0"]
    settings = read_image_level(tmp_path / "out" / "rotnet" / "seed_0")["settings"]
    assert settings["protocol"]["linear"]["epochs"] == 3
    method = "recipe=cifar10_rotnet method.learning_rate=0.01"
    compare(*instead(comparison, f"methods={{rotnet: '{method}'}}"))
    assert len(trained) == 2


def test_other_images_are_trained_on_and_measured_anew(
    comparison: list[str], tmp_path: Path, trained: list[str]
):
    folder, more = tmp_path / "out" / "rotnet" / "seed_0", instead(comparison, ONE)
    compare(*more)
    data = tmp_path / "data"
    Image.new("RGB", (48, 48), (250, 9, 9)).save(data / "test" / "red" / "more.png")
    compare(*more)
    assert trained == ["rotnet/seed_0"], "the test images are another measurement alone"
    assert read_image_level(folder)["dataset"]["num_test"] == 13
    shutil.copy(data / "train" / "red" / "00.png", data / "train" / "red" / "more.png")
    compare(*more)
    assert len(trained) == 2
    assert read_image_level(folder)["dataset"]["num_train"] == 31


def test_a_method_may_be_trained_on_images_of_its_own(comparison: list[str], tmp_path: Path):
    folder = tmp_path / "larger"
    folder.mkdir()
    for index in range(12):
        Image.new("RGB", (48, 48), (20 * index, 90, 200)).save(folder / f"{index}.png")
    own = f"recipe=cifar10_rotnet dataset=folder dataset.root={folder}"
    compare(*instead(comparison, f"methods={{rotnet: '{own}', simclr: null}}"))
    found = rows(tmp_path)
    assert (found["rotnet"]["images"], found["simclr"]["images"]) == ("folder, larger", None)
    settings = read_training(tmp_path / "out" / "rotnet" / "seed_0").settings
    assert settings["dataset"]["root"] == str(folder)
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "- `rotnet` was trained on other images: folder, larger." in text


def test_how_the_backbone_of_another_command_is_stored_changes_no_training(
    comparison: list[str], tmp_path: Path, trained: list[str]
):
    compare(*instead(comparison, ONE))
    compare(*instead(comparison, ONE, f'training="{SMALL} backbone_precision=fp16"'))
    assert trained == ["rotnet/seed_0"]


@pytest.mark.parametrize("name", ["backbone.safetensors", "training.json", "metrics.jsonl"])
def test_a_training_of_which_a_file_is_gone_or_another_is_made_anew(
    comparison: list[str], tmp_path: Path, trained: list[str], name: str
):
    compare(*instead(comparison, ONE))
    folder = tmp_path / "out" / "rotnet" / "seed_0"
    if name == "backbone.safetensors":
        save_backbone(load_encoder("test_vit", "random", seed=7), folder / name)
    else:
        (folder / name).unlink()
    compare(*instead(comparison, ONE))
    assert trained == ["rotnet/seed_0"] * 2
    network = load_encoder("test_vit", folder / "backbone.safetensors")
    assert read_image_level(folder)["encoder"]["sha256"] == network.fingerprint()


def test_a_failure_is_a_row_with_its_reason_and_is_tried_again(
    comparison: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    original = compare_methods.train_within

    def fails(config, seconds, folder):
        if config.method.name == "simclr":
            raise RuntimeError("a mistake")
        return original(config, seconds, folder)

    with monkeypatch.context() as patch:
        patch.setattr(compare_methods, "train_within", fails)
        compare(*comparison, "+methods.lost='recipe=cifar10_rotnet method.tau=1'")
    found = rows(tmp_path)
    assert "linear" in found["rotnet"]
    assert found["simclr"] == {
        "method": "simclr",
        "failures": [{"seed": 0, "reason": "RuntimeError: a mistake"}],
    }
    assert "tau" in found["lost"]["failures"][0]["reason"]
    text = (tmp_path / "out" / "methods.md").read_text()
    assert "| `simclr` | not trained: RuntimeError: a mistake |" in text
    compare(*comparison)
    assert "linear" in rows(tmp_path)["simclr"]


def test_a_signal_ends_the_comparison(comparison: list[str], monkeypatch: pytest.MonkeyPatch):
    def interrupted(config, seconds, folder):
        raise TrainingInterrupted("SIGINT", 1, folder)

    monkeypatch.setattr(compare_methods, "train_within", interrupted)
    with pytest.raises(SystemExit, match="run the same command again to go on"):
        compare(*comparison)


def test_clip_is_given_class_names_and_the_table_says_so(comparison: list[str], tmp_path: Path):
    small = "method.vocabulary_size=300 method.text_dim=16 method.text_depth=1 method.text_heads=2"
    compare(*instead(comparison, f"methods={{clip: 'recipe=cifar10_clip {small}'}}"))
    with (tmp_path / "out" / "captions.csv").open() as file:
        captions = list(csv.DictReader(file))
    assert len(captions) == 30
    assert captions[0] == {"image": "blue/00", "caption": "a photo of a blue"}
    facts = read_training(tmp_path / "out" / "clip" / "seed_0")
    assert facts.texts is not None
    assert "`clip` learns from texts: class names" in (tmp_path / "out/methods.md").read_text()


def test_the_table_goes_into_a_readme(comparison: list[str], tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("# Mine\n<!-- methods: begin -->\n<!-- methods: end -->\n")
    copy = tmp_path / "small.json"
    compare(*instead(comparison, ONE), f"write_to={readme}", f"json={copy}")
    assert (tmp_path / "out" / "methods.md").read_text().strip() in readme.read_text()
    assert copy.read_text() == (tmp_path / "out" / "methods.json").read_text()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["+methods.mine=null"], "cifar10_mine"),
        (["seeds_of={dino: [1]}"], r"seeds_of.dino"),
        (["test_split=val"], "test_split=val: "),
        (['evaluation="precision=bf16"'], "bf16"),
        (["+methods.mine='recipe=cifar10_rotnet seed=2'"], r"methods.mine: seed"),
        (['evaluation="protocol.evaluations=[knn]"'], "set protocol.evaluations=[knn,linear]"),
        (['evaluation="protocol.linear.layers=[stem]"'], r"protocol.linear.layers"),
    ],
)
def test_mistakes_show_at_once(comparison: list[str], tmp_path: Path, changed, message: str):
    assert message in error_of_command(main, "leopart compare", [*comparison, *changed])
    assert not (tmp_path / "out" / "methods.json").exists()
