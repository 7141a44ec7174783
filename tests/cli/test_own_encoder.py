"""An encoder of the user's: trained, loaded again, and told in one line where it cannot be."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from leopart_kit.cli.train import main
from leopart_kit.report import read_results
from leopart_kit.training import recorded_identity
from tests.cli.command import error_of_command, leopart_eval, run_command_line
from tests.cli.train_command import TINY, stand_beside

SOURCE = """
import timm
from leopart_kit.backbones import Encoder
from torch import nn

def vit():
    return timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval()

class Net(nn.Module):
    patch_size, embed_dim = 16, 64
    def __init__(self):
        super().__init__()
        self.vit = vit()
    def forward(self, images):
        return self.vit.forward_features(images)[:, 1:]

def wrapped():
    return Encoder.from_module(Net(), 16, 64)

def known():
    return vit()  # whose forward_features are taken

def hidden():
    return Encoder.from_module(Net().forward, 16, 64)
"""
NECO = ("method=neco", "precision=bf16", "trainer.max_steps=2")
SMALL = (
    "protocol.pca_dim=4",
    "protocol.resolution=[32,32]",
    "protocol.score_resolution=[16,16]",
    "protocol.num_clusters=5",
    "protocol.seeds=[0]",
    "masks=false",
    "page_images=0",
)


@pytest.fixture(autouse=True)
def beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_beside(tmp_path, "own_vit.py", SOURCE, monkeypatch)


def own(factory: str) -> tuple[str, ...]:
    return ("encoder=custom", f"encoder.factory=own_vit:{factory}")


def words_of(folder: Path, *words: str) -> list[str]:
    """The small run that tests share, without its encoder and Leopart's sizes."""
    small = [w for w in TINY if not w.startswith(("encoder", "method.", "trainer.max_steps"))]
    data = ["dataset=folder", "dataset.root=images", f"output_dir={folder}"]
    return [*small, *data, *words]


def train(folder: Path, *words: str) -> None:
    run_command_line(main, "leopart train", words_of(folder, *words))


def trained_words(folder: Path) -> list[str]:
    """The words that a training prints for those who want to load what it has left."""
    (line,) = re.findall(r"trained: (.*)", (folder / "train.log").read_text())
    return shlex.split(line)


@pytest.mark.parametrize("factory", ["Net", "wrapped", "known"])
def test_it_trains_and_is_measured_again_by_the_words_that_are_printed(
    factory: str, tmp_path: Path
):
    clusters = ("evaluation.protocol.num_clusters=5",)
    train(tmp_path / "out", *NECO, *own(factory), *clusters)
    before, after = (read_results(tmp_path / "out/evaluation" / n) for n in ("before", "after"))
    assert before["encoder"]["sha256"] != after["encoder"]["sha256"]
    assert after["encoder"]["name"] == f"own_vit:{factory}"
    leopart_eval(
        *SMALL, *trained_words(tmp_path / "out"), "precision=bf16", "dataset=folder",
        "dataset.root=images", f"output_dir={tmp_path / 'again'}",
    )  # fmt: skip
    again = read_results(tmp_path / "again")
    assert again["encoder"]["sha256"] == after["encoder"]["sha256"]
    assert again["details"] == after["details"]


def test_rounds_go_on_from_each_other_and_are_not_made_again(tmp_path: Path):
    words = (*NECO, *own("Net"), "rounds=2")
    train(tmp_path / "out", *words)
    start, first, last = (
        read_results(tmp_path / "out/evaluation/before")["encoder"]["sha256"],
        recorded_identity(tmp_path / "out/rounds/1"),
        recorded_identity(tmp_path / "out"),
    )
    assert first.values["encoder.weights"] == start, "the seed decides what is random"
    assert last.values["encoder.weights"] != start
    made = (tmp_path / "out/rounds/1/backbone.safetensors").stat().st_mtime_ns
    train(tmp_path / "out", *words)
    assert (tmp_path / "out/rounds/1/backbone.safetensors").stat().st_mtime_ns == made


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((*NECO, *own("hidden")), "nn.Module"),
        ((*NECO, "encoder=handcrafted"), "no parameter"),
        # A head of Leopart's would be trained.
        (("method=leopart", "method.foreground=all", *own("hidden")), "nn.Module"),
        ((*NECO, *own("Net"), "method.drop_path=0.2"), "method.drop_path"),
        (("method=ibot", "encoder=resnet18_mini"), "CLS token"),
        (("method=ibot", *own("Net")), "CLS token"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_measured(
    words: tuple[str, ...], told: str, tmp_path: Path
):
    line = error_of_command(main, "leopart train", words_of(tmp_path / "out", *words))
    assert told in line
    assert not (tmp_path / "out/evaluation").exists()
