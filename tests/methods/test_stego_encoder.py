"""What STEGO leaves: loaded as what it is, or refused in a line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.cli import eval_segmentation
from leopart_kit.cli import train as train_cli
from leopart_kit.methods.stego_encoder import StegoEncoder, StegoHead, load_stego
from leopart_kit.report import read_results
from tests.backbones.test_own_weights import DAMAGES
from tests.cli.command import error_of_command, run_command_line

TRAINED = ("centroids", "head.linear.weight", "head.linear.bias", "head.nonlinear.0.weight")
TRAINED += ("head.nonlinear.0.bias", "head.nonlinear.2.weight", "head.nonlinear.2.bias")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    backbone = load_encoder("test_vit", "random")
    made = StegoEncoder(backbone, StegoHead(64, 5), torch.randn(4, 5))
    return save_backbone(made, tmp_path_factory.mktemp("stego") / "backbone.safetensors")


def test_the_whole_file_is_loaded(saved: Path):
    assert {key for key in load_file(saved) if key.startswith(("head", "cent"))} == set(TRAINED)
    loaded = load_stego(saved, "test_vit")
    state = load_file(saved)
    assert loaded.saved_weights().keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in loaded.saved_weights().items())


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"sparse", "no tensor"}))
@pytest.mark.parametrize("key", [*TRAINED, "norm.weight"])
def test_a_damaged_file_is_told_with_the_tensor(damage: str, key: str, saved: Path, tmp_path: Path):
    state = load_file(saved)
    DAMAGES[damage](state, key)
    path = tmp_path / "damaged.safetensors"
    save_file(state, path)
    told = re.escape(key)  # the codes are as long as the probe says, the head is as wide
    with pytest.raises(ValueError, match=rf"damaged\.safetensors: ({told}|head\.)"):
        load_stego(path, "test_vit")


def test_without_its_head_it_is_refused(saved: Path, tmp_path: Path):
    with pytest.raises(ValueError, match=r"load_stego .*name: test_vit\}"):
        load_encoder("test_vit", saved)
    state = load_file(saved)
    del state["head.nonlinear.2.weight"]
    save_file(state, tmp_path / "damaged.safetensors")
    inside = {f"encoder.{k}" if k in TRAINED else f"encoder.backbone.vit.{k}": v
              for k, v in load_file(saved).items()}  # fmt: skip
    torch.save({"state_dict": inside}, tmp_path / "step_1.pt")
    for name in ("damaged.safetensors", "step_1.pt"):
        with pytest.raises(ValueError, match="load_stego"):
            load_encoder("test_vit", tmp_path / name)
    plain = timm.create_model("test_vit", num_classes=0)
    assert not plain.load_state_dict(load_file(saved), strict=False).missing_keys


def test_a_network_whose_tensors_have_the_names_of_the_head_is_told():
    network = nn.Sequential()
    network.head = nn.Conv2d(3, 6, 4, 4)
    with pytest.raises(ValueError, match=r"head\.weight"):
        StegoEncoder(Encoder.from_module(network, 4, 6), StegoHead(6, 5), torch.randn(4, 5))


@pytest.mark.parametrize(
    "encoder",
    [
        ("encoder=timm", "encoder.name=test_vit", "encoder.block=2", "encoder.facet=key"),
        ("encoder=custom", "encoder.factory=tests.methods.tiny_clusterer:tiny_vit"),
    ],
)
def test_the_words_of_a_training_give_its_figures(encoder: tuple[str, ...], tmp_path: Path):
    scenes = ["dataset.num_images=6", "dataset.image_size=[64,64]", "dataset.split=train"]
    scenes = ["dataset=scenes", f"dataset.root={tmp_path / 'scenes'}", *scenes]
    protocol = ["resolution=[64,64]", "num_clusters=9", "pca_dim=5", "seeds=[0]"]
    run_command_line(train_cli.main, "leopart train", [
        *scenes, "method=stego", *encoder, "encoder.weights=random", "method.crop_size=64",
        "method.num_clusters=6", "batch_size=4", "trainer.max_steps=2", "accelerator=cpu",
        "precision=bf16", "evaluation.page_images=0",
        *(f"evaluation.protocol.{word}" for word in protocol),
        *(w.replace("dataset", "dataset@evaluation.dataset" if "=scenes" in w else
                    "evaluation.dataset", 1) for w in scenes),
        f"output_dir={tmp_path / 'run'}",
    ])  # fmt: skip
    (line,) = re.findall(r"trained: (.*)", (tmp_path / "run/train.log").read_text())
    assert "'\"'" not in line, "quotes within quotes"
    assert line.replace("'", "&#39;") in (tmp_path / "run/report.html").read_text()
    small = ["device=cpu", "masks=false", "page_images=0", f"output_dir={tmp_path / 'out'}"]
    words = [*scenes, *(f"protocol.{word}" for word in protocol), *small]
    run_command_line(eval_segmentation.main, "leopart eval", [*words, *shlex.split(line)])
    after, again = read_results(tmp_path / "run/evaluation/after"), read_results(tmp_path / "out")
    assert again["metrics"]["miou"]["per_seed"] == after["metrics"]["miou"]["per_seed"]
    assert again["encoder"]["sha256"] == after["encoder"]["sha256"]
    backbone = tmp_path / "run/backbone.safetensors"
    wrong = ["encoder=timm", "encoder.name=test_vit", f"encoder.weights={backbone}"]
    if encoder[0] == "encoder=timm":
        told = error_of_command(eval_segmentation.main, "leopart eval", [*words, *wrong])
        assert "load_stego" in told
