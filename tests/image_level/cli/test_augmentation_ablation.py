"""One augmentation less at a time: what is trained, kept, tried again and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.saved_backbone import BACKBONE_NAME, save_backbone
from leopart_kit.cli import trained as trainings
from leopart_kit.cli.config import config_folder, register_configs
from leopart_kit.image_level.cli import augmentation_ablation as ablation
from leopart_kit.image_level.report import read_image_level
from tests.cli.command import error_of_command, run_command_line
from tests.cli.train_command import TINY
from tests.evaluation.tiny_data import write_folder
from tests.image_level.evaluation.tiny_images import write_colours

COMMON = " ".join(
    [o for o in TINY if not o.startswith("method.") and "max_steps" not in o]
    + ["trainer.max_steps=1", "views.global_size=32"]
)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_colours(tmp_path / "data", "train", 5)
    write_colours(tmp_path / "data", "test", 2)
    train = "dataset.root=data/train method.num_heads=1 method.num_labels=3 method.num_labellings=1"
    evaluate = (
        "dataset.root=data protocol.evaluations=[linear] protocol.linear.layers=[output] "
        "protocol.linear.epochs=2 protocol.seeds=[0] protocol.resolution=16"
    )
    return [f'train="{COMMON} {train}"', f'evaluate="{evaluate}"', "output_dir=out"]


def ablate(*arguments: str) -> dict[str, dict]:
    run_command_line(ablation.main, "leopart ablation", arguments)
    rows = json.loads(Path("out/results.json").read_text())["variants"]
    return {row["name"]: row for row in rows}


def test_a_failed_cell_is_tried_again_and_what_is_done_is_kept(
    given: list[str], monkeypatch: pytest.MonkeyPatch
):
    original, trained = trainings.run_rounds, []

    def counted(config, output_dir: Path, words: list[str], command: str) -> None:
        trained.append((output_dir.parts[-3], config.method.views.image))
        if output_dir.parts[-3] == "without_flip" and len(trained) < 3:
            raise RuntimeError("a mistake")
        original(config, output_dir, words, command)

    monkeypatch.setattr(trainings, "run_rounds", counted)
    rows = ablate(*given, "without=[flip]")
    assert rows["all"]["mean"] >= 0
    assert rows["flip"]["reasons"] == {"0": "RuntimeError: a mistake"}
    assert [name for name, _ in trained] == ["all", "without_flip"]
    views = [view for _, view in trained]
    assert (views[0].flip_probability, views[1].flip_probability) == (0.5, 0.0)
    assert all(view.blur_probability == 0.5 for view in views)
    assert "not trained" in Path("out/ablation.svg").read_text()
    rows = ablate(*given, "without=[flip]")
    assert len(trained) == 3, "the first one was kept"
    assert rows["flip"]["change"] == pytest.approx(rows["flip"]["mean"] - rows["all"]["mean"])
    assert "| without flip |" in Path("out/ablation.md").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(ablation, "run_image_level", None)
        assert ablate(*given, "without=[flip]") == rows
    changed = [given[0].replace("max_steps=1", "max_steps=2"), *given[1:], "without=[flip]"]
    line = error_of_command(ablation.main, "leopart ablation", changed)
    assert "trainer.max_steps" in line


def test_another_network_is_measured_anew(given: list[str]):
    """Such as one that was trained again after its folder had been deleted."""
    ablate(*given, "without=[]")
    folder = Path("out/all/seed_0")
    other = load_encoder("test_vit", "random", seed=7)
    save_backbone(other, folder / "training" / BACKBONE_NAME)
    ablate(*given, "without=[]")
    assert read_image_level(folder / "evaluation")["encoder"]["sha256"] == other.fingerprint()


def test_a_training_that_never_began_is_in_nobody_s_way(given: list[str]):
    wrong = [given[0].replace("data/train", "nowhere"), *given[1:], "without=[]"]
    assert "no training came through; " in error_of_command(
        ablation.main, "leopart ablation", wrong
    )
    odd = [given[0].replace("global_size=32", "global_size=33"), *given[1:], "without=[]"]
    error_of_command(ablation.main, "leopart ablation", odd)
    assert "mean" in ablate(*given, "without=[]")["all"]


def test_how_a_training_ran_is_no_other_setting(given: list[str], monkeypatch: pytest.MonkeyPatch):
    rows = ablate(*given, "without=[]")
    monkeypatch.setattr(trainings, "run_rounds", None)
    again = [given[0].replace('train="', 'train="num_workers=0 '), *given[1:], "without=[]"]
    assert ablate(*again) == rows
    Path("data/train/red/00.png").write_bytes(Path("data/train/red/01.png").read_bytes() + b" ")
    line = error_of_command(ablation.main, "leopart ablation", again)
    assert "dataset.content is" in line


def test_leopart_is_measured_by_a_dense_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data", 6)
    head = "method.num_prototypes=6 method.projection_dim=8 method.queue_length=0"
    evaluate = (
        "dataset=folder dataset.root=data protocol.resolution=[32,32] page_images=0 masks=false "
        "protocol.score_resolution=[16,16] protocol.seeds=[0] protocol.num_clusters=5 "
        "protocol.pca_dim=4"
    )
    rows = ablate(
        "study=leopart",
        f'train="{COMMON} {head} dataset.root=data/images method.foreground=all"',
        f'evaluate="{evaluate}"',
        "without=[crop]",
        "output_dir=out",
    )
    assert rows["all"]["mean"] > 0
    assert rows["crop"]["mean"] > 0


@pytest.mark.parametrize("method", ablation.STUDIES)
def test_every_augmentation_is_on_and_each_goes_alone(method: str):
    study = ablation.STUDIES[method]

    def composed(*words: str) -> dict:
        chosen = [f"method={method}", "output_dir=x", *study.everything, *words]
        config = compose("train", overrides=chosen)
        return dict(config.method.views.image if method == "sela" else config.views)

    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        everything = composed()
        for key in ("flip_probability", "jitter", "grey_probability", "blur_probability"):
            assert everything[key] > 0
        for name, words in study.without.items():
            less = composed(*words)
            changed = {key for key in everything if less[key] != everything[key]}
            word = {"crop": "scale"}.get(name, name)
            assert changed
            assert all(word in key for key in changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (['evaluate="protocol.evaluations=[knn]"'], "evaluate"),
        (['train="dataset.root=nowhere"', "without=[]"], "no training came through; "),
    ],
)
def test_mistakes_are_told_in_one_line(given: list[str], changed: list[str], message: str):
    names = [c.partition("=")[0] for c in changed]
    kept = [g for g in given if g.partition("=")[0] not in names]
    line = error_of_command(ablation.main, "leopart ablation", [*kept, *changed])
    assert message in line
