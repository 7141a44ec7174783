"""`leopart image`: what a run leaves, and every mistake in one line."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image
from safetensors.torch import save_file
from timm import create_model

from leopart_kit.cli.build import plain
from leopart_kit.cli.config import config_folder, register_configs
from leopart_kit.image_level.cli.eval_image_level import build_image_level, main
from leopart_kit.image_level.evaluation import ImageLevelSettings
from leopart_kit.image_level.report.json_file import read_image_level
from tests.cli.command import error_of_command, run_command_line


@pytest.fixture
def given(on_colours: list[str]) -> list[str]:
    """Overrides for a set of three colours and a quick evaluation into `tmp_path / "out"`."""
    return [
        *on_colours,
        "protocol.seeds=[0,1]",
        "protocol.knn.neighbours=5",
        "protocol.linear.epochs=3",
    ]


def leopart_eval_image(*overrides: str) -> None:
    run_command_line(main, "leopart image", overrides)


def error_of(*overrides: str) -> str:
    return error_of_command(main, "leopart image", overrides)


def test_a_run_leaves_results_page_and_features(
    given: list[str], tmp_path: Path, capfd: pytest.CaptureFixture
):
    leopart_eval_image(*given)
    results = read_image_level(tmp_path / "out")
    assert {score["evaluation"] for score in results["scores"]} == {"knn", "linear", "clusters"}
    assert results["scores"][0]["mean"] == 100
    assert results["settings"]["protocol"]["seeds"] == [0, 1]
    assert results["encoder"]["name"] == "handcrafted"
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg") == 12
    assert "leopart image dataset.root=" in page
    assert len(list((tmp_path / "out" / "features").rglob("tokens.npy"))) == 2
    printed = capfd.readouterr()
    assert "nearest neighbours" in printed.out
    assert "tokens, output" in printed.err


def test_a_second_run_reuses_the_features_and_repeats_the_figures(given: list[str], tmp_path: Path):
    cache = f"cache_dir={tmp_path / 'cache'}"
    leopart_eval_image(*given, cache)
    leopart_eval_image(*given, cache, f"output_dir={tmp_path / 'second'}")
    log = (tmp_path / "second" / "eval_image_level.log").read_text()
    assert log.count("features: reused") == 2
    first, second = (read_image_level(tmp_path / name) for name in ("out", "second"))
    assert first["scores"] == second["scores"]
    assert first["clusters"] == second["clusters"]


def test_a_network_with_weights_from_a_file_on_every_layer(given: list[str], tmp_path: Path):
    state = create_model("test_vit", num_classes=0).state_dict()
    save_file(state, tmp_path / "w.safetensors", metadata={"format": "pt"})
    leopart_eval_image(
        *given,
        "encoder=timm",
        "encoder.name=test_vit",
        f"encoder.weights={tmp_path / 'w.safetensors'}",
        "protocol.evaluations=[linear,low_shot]",
        "protocol.linear.layers=[block2,output]",
        "protocol.fine_tuning.fractions=[0.2]",
        "protocol.fine_tuning.epochs=1",
        "protocol.fine_tuning.min_steps=2",
    )
    results = read_image_level(tmp_path / "out")
    assert [score["variant"] for score in results["scores"]] == [
        "block2",
        "output",
        "20 % of the labels",
    ]
    assert 'id="filters"' in (tmp_path / "out" / "report.html").read_text()


def test_clusters_that_a_method_found(given: list[str], tmp_path: Path):
    file = tmp_path / "clusters.csv"
    found = {"red": 7, "green": 3, "blue": 3}
    lines = [f"{name}/{i:02d},{cluster}" for name, cluster in found.items() for i in range(4)]
    file.write_text("\n".join(["name,cluster", *lines]))
    chosen = [*given, "protocol.evaluations=[clusters]", f"assignments={file}"]
    leopart_eval_image(*chosen)
    scores = read_image_level(tmp_path / "out")["scores"]
    assert scores[0]["variant"] == "K = 2, given"
    assert scores[0]["mean"] == pytest.approx(100 * 8 / 12)
    file.write_text("\n".join(["name,cluster", *lines[:-1]]))
    assert "blue/03" in error_of(*chosen)
    file.write_text("name,cluster\nred/00,many\n")
    assert "clusters.csv line 2" in error_of(*chosen)
    file.write_text("image;id\n")
    assert "name,cluster" in error_of(*chosen)
    file.unlink()
    assert "clusters.csv" in error_of(*chosen)


def test_one_broken_file_of_many_is_named(
    given: list[str], tmp_path: Path, capfd: pytest.CaptureFixture
):
    broken = tmp_path / "data/train/red/03.png"
    broken.write_bytes(broken.read_bytes()[:60])
    leopart_eval_image(*given, "protocol.evaluations=[knn]")
    results = read_image_level(tmp_path / "out")
    assert results["dataset"]["num_train"] == 29
    assert "03.png" in results["dataset"]["broken"][0]["reason"]
    assert "1 broken: red/03" in capfd.readouterr().out
    assert re.search(r"03\.png cannot be decoded", error_of(*given, "strict=true"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train_split=training"], r"train_split=training: .* no split .*folders: test, train\)"),
        (["test_split=val"], r"test_split=val: .*has no split 'val'"),
        (["dataset.root=nowhere"], "nowhere is not a folder"),
        (["dataset=voc"], "'voc' has no image classes"),
        (["dataset=cifar10"], "holds no complete cifar10"),
        (["protocol.linear.layers=[conv1]"], "handcrafted has no layer 'conv1'; it has tokens"),
        (["protocol.evaluations=[fine_tuning]"], "handcrafted has no weights to fine-tune"),
        (
            ["protocol.evaluations=[low_shot]", "encoder=random_vits16"],
            "1 % of the 10 training images of 'blue' is none",
        ),
        (["protocol.knn.neighbours=99"], "99 neighbours of 30 training images"),
        (["protocol.clusters.num_clusters=31"], "31 clusters are more than the 30 training"),
        (["+protocol.linear.rate=1"], "protocol.linear has no setting 'rate'"),
        (["+protocol.seed=1"], "protocol has no setting 'seed'"),
        (["protocol.resolution=4"], "image of 4 x 4 px is smaller than one patch of 8"),
        (["encoder=dino"], "unknown encoder 'dino'"),
        (["output_dir=data/train/red/00.png/x"], "choose another output_dir"),
    ],
)
def test_mistakes_end_in_one_line(given: list[str], overrides: list[str], message: str):
    names = [override.partition("=")[0] for override in overrides]
    kept = [g for g in given if g.partition("=")[0] not in names]
    assert re.search(message, error_of(*kept, *overrides))


def test_one_class_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / split / "cat" / "0.png")
    assert "has one class, 'cat'" in error_of(f"dataset.root={tmp_path}")


def composed(*overrides: str):
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        return compose("eval_image_level", overrides=list(overrides))


def test_the_file_states_every_setting_and_agrees_with_the_code():
    protocol = composed().protocol
    assert build_image_level(protocol) == ImageLevelSettings()
    assert set(plain(protocol)) == set(dataclasses.asdict(ImageLevelSettings()))
    for name, group in dataclasses.asdict(ImageLevelSettings()).items():
        if isinstance(group, dict):
            assert set(plain(protocol[name])) == set(group)
