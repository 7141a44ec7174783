"""Every YAML of `configs/` and `eval/` composes, and its values mean something to the code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from leopart_kit.backbones import list_encoders, load_encoder
from leopart_kit.cli.benchmark import BenchmarkCommand, chosen_benchmarks
from leopart_kit.cli.build import (
    build_benchmark,
    build_dataset,
    build_encoder,
    build_protocol,
    build_train_split,
    plain,
)
from leopart_kit.cli.commands import read_command
from leopart_kit.cli.config import compose_command, config_folder, register_configs
from leopart_kit.data import list_datasets
from leopart_kit.data.scenes import SceneGenerator, write_cityscapes, write_coco_stuff, write_voc
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.unsupervised.protocol import Unsupervised
from leopart_kit.evaluation.protocols.unsupervised_27 import Unsupervised27
from tests.data.image_writers import flat, write_image, write_mask

BENCHMARKS = sorted(path.stem for path in (config_folder("eval") / "benchmark").glob("*.yaml"))
SUITES = sorted(path.stem for path in (config_folder("eval") / "suite").glob("*.yaml"))
PROTOCOLS = sorted(
    {path.stem for path in (config_folder("eval") / "protocol").glob("*.yaml")}
    - {"predictions"}  # of which the settings are a group of their own
)
ENCODERS = sorted({*list_encoders(), "timm"})


def write_ade20k(root: Path, generator: SceneGenerator, splits: dict[str, int]) -> None:
    """One image of ADE20K for each split."""
    for split in splits:
        folder = {"train": "training", "val": "validation"}[split]
        write_image(root / "images" / folder / "ADE_00000001.jpg")
        write_mask(root / "annotations" / folder / "ADE_00000001.png", flat(1))


# Data sets that the scenes can be written as; the others have one label set each.
LAYOUTS: dict[str, Callable[..., None]] = {
    "voc": write_voc,
    "coco_stuff": write_coco_stuff,
    "cityscapes": write_cityscapes,
    "ade20k": write_ade20k,
}


def composed(*overrides: str) -> DictConfig:
    """The configuration of `leopart eval` with these overrides."""
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        return compose_command("eval_segmentation", overrides)


def write_data(name: str, root: Path) -> None:
    """A data set of one image, unless it is drawn on first use."""
    if name in LAYOUTS:
        LAYOUTS[name](root, SceneGenerator((32, 32)), {"val": 1})


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_fit_the_code(name: str, tmp_path: Path):
    config = composed(f"benchmark={name}", f"dataset.root={tmp_path}")
    if config.dataset.name == "scenes":
        OmegaConf.update(config, "dataset.num_images", 1, force_add=True)
    write_data(config.dataset.name, tmp_path)
    dataset = build_dataset(config.dataset)
    protocol = build_protocol(config.protocol)
    benchmark = build_benchmark(config.benchmark)
    assert benchmark is not None
    assert benchmark.name == name
    if isinstance(protocol, Overclustering):
        assert protocol.resolve_num_clusters(dataset.num_classes) == protocol.num_clusters
    height, width = vars(protocol)["score_resolution"]
    assert benchmark.scored_at in (f"{height}x{width}", "full")
    for row in benchmark.published:
        assert row.method and row.encoder and row.source  # noqa: PT018
        figures = [value for value in (row.miou, row.pixel_accuracy) if value is not None]
        assert figures
        assert all(1 < value < 100 for value in figures), "percent, not a fraction"


@pytest.mark.parametrize("name", SUITES)
def test_suites_fit_the_code(name: str):
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        suite = compose("benchmark", overrides=[f"suite={name}"])
    for entry in (plain(suite)["encoders"] or {}).values():
        assert entry["name"] in list_encoders()
    for overrides in chosen_benchmarks(read_command(BenchmarkCommand, suite)).values():
        build_protocol(composed(*overrides, "dataset.root=x").protocol)


def test_one_to_one_benchmarks_have_as_many_clusters_as_classes(tmp_path: Path):
    for name, classes in {"voc_k21": 21, "coco_stuff27": 27, "cityscapes27": 27}.items():
        config = composed(f"benchmark={name}", f"dataset.root={tmp_path / name}")
        write_data(config.dataset.name, tmp_path / name)
        assert build_dataset(config.dataset).num_classes == classes
        protocol = build_protocol(config.protocol)
        if isinstance(protocol, Overclustering):
            assert protocol.resolve_rule(classes).startswith("hungarian")
        else:
            assert isinstance(protocol, Unsupervised27)
            assert protocol.num_clusters == classes


def test_the_paper_settings_of_unsupervised_segmentation():
    for name, numbers in {"vits16": (149, 0.09, 2.0), "vitb8": (109, 0.07, 0.4)}.items():
        config = composed(f"protocol=unsupervised_{name}")
        protocol = build_protocol(config.protocol)
        assert isinstance(protocol, Unsupervised)
        assert (protocol.num_clusters, protocol.edge_threshold, protocol.markov_time) == numbers
        assert protocol.preferred_communities == 20
        assert len(protocol.seeds) == 10
        assert config.protocol.prior.name == "dino_vits16"


def test_a_split_that_is_not_there_says_which_setting_to_change(tmp_path: Path):
    write_voc(tmp_path / "VOC2012", SceneGenerator((32, 32)), {"val": 1})
    root = f"dataset.root={tmp_path / 'VOC2012'}"
    config = composed("dataset=voc", root, "protocol=unsupervised")
    with pytest.raises(ValueError, match=r"protocol.train_split"):
        build_train_split(config)
    config.protocol.train_split = None
    assert build_train_split(config) is None


@pytest.mark.parametrize("name", list_datasets())
def test_data_sets_compose(name: str, tmp_path: Path):
    config = composed(f"dataset={name}")
    assert config.dataset.name == name
    own_root = not OmegaConf.is_missing(config.dataset, "root")
    assert own_root == (name == "scenes"), "only what is drawn has a root of its own"
    if name in LAYOUTS:
        write_data(name, tmp_path)
        config.dataset.root = str(tmp_path)
        assert len(build_dataset(config.dataset)) == 1


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_compose(name: str):
    config = composed(f"encoder={name}").encoder
    missing = {key for key in config if OmegaConf.is_missing(config, key)}
    assert missing == {"custom": {"factory"}, "timm": {"name"}}.get(name, set())
    if name != "timm":
        assert config.name == name


def test_what_is_said_of_a_weight_file_reaches_its_reader(tmp_path: Path):
    """Also a file whose name is made of digits, and the names of its networks."""
    state = load_encoder("vitmini4", seed=3).vit.state_dict()  # type: ignore[union-attr]
    state["pos_embed"] = torch.randn(1, 1 + 2 * 8, 128)
    other = {f"1.{key}": value + 1 for key, value in state.items()}
    torch.save({**{f"0.{key}": value for key, value in state.items()}, **other}, tmp_path / "3")
    node = composed(
        "encoder=vitmini4", "encoder.weights=3", "encoder.grid=[2,8]", "encoder.network=1"
    )
    with contextlib.chdir(tmp_path):
        vit = build_encoder(node.encoder, "fp32").vit
    assert torch.equal(vit.pos_embed, state["pos_embed"] + 1)  # type: ignore[union-attr]
    assert vit.patch_embed.grid_size == (2, 8)  # type: ignore[union-attr]


def test_overrides_of_the_user_win_over_a_benchmark(tmp_path: Path):
    config = composed(
        "benchmark=voc_k500", "dataset=camvid", "protocol.num_clusters=30", "encoder=dino_vitb8"
    )
    assert config.dataset.name == "camvid"
    assert config.protocol.num_clusters == 30
    assert config.encoder.name == "dino_vitb8"


def test_files_say_what_they_are():
    for folder in (config_folder("configs"), config_folder("eval")):
        for path in folder.rglob("*.yaml"):
            assert path.read_text().startswith("#"), f"{path} has no comment on its first line"
            assert isinstance(yaml.safe_load(path.read_text()), dict), path
