"""A training folder stands for one training alone, broken off or finished."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf

from leopart_kit.backbones import load_encoder
from leopart_kit.backbones.saved_backbone import save_backbone
from leopart_kit.cli.build import build_dataset
from leopart_kit.cli.config import compose_command, register_configs
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.cli.reuse import training_identity
from leopart_kit.cli.run_parts import build_settings
from leopart_kit.identity import HOW_TRAINED, Identity
from leopart_kit.parts import config_folder, list_parts
from leopart_kit.training import check_folder, list_checkpoints, recorded_identity
from tests.cli.train_command import (
    LEOPART,
    MODEL,
    broken_off_copy,
    error_of_training,
    leopart_train,
    write_images,
)

METHODS = list_parts(PACKAGES["method"])[::3]
FIXED = ("trainer.max_steps=4", "method.drop_path=0.0")
# Words for settings that are not numbers: others that the loop accepts.
WORDS = {"trainer.resume": "never"}


def composed(*overrides: str) -> DictConfig:
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder("configs")), version_base="1.3"):
        return compose_command("train", overrides)


def leaves(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Names of all settings below a node."""
    for name in node:
        if OmegaConf.is_missing(node, str(name)):
            continue
        if isinstance(node[name], DictConfig):
            yield from leaves(node[name], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def other(name: str, value: Any) -> Any:
    """Another value for a setting; the numbers of the loop stay in their range."""
    if name in WORDS or isinstance(value, str):
        return WORDS.get(name, f"{value}x")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) or value is None:
        return (value or 0) + 1
    return (value or 0.5) / 2 if isinstance(value, float) else [*value, 1]


def counts(name: str) -> bool:
    """Whether a setting is one of those that determine a training."""
    parts = name.split(".")
    return not any(".".join(parts[: i + 1]) in HOW_TRAINED for i in range(len(parts)))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    leopart_train(images, folder, *LEOPART)
    return folder


@pytest.fixture
def broken_off(finished: Path, tmp_path: Path) -> Path:
    """The same as it was when two of the four steps were done."""
    return broken_off_copy(finished, tmp_path / "broken_off")


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_every_method_counts_unless_it_says_how(images: Path, method: str):
    """A folder of these settings is refused for each other one, which is named."""
    fixed = ("dataset=folder", f"dataset.root={images}", "encoder=handcrafted", "output_dir=x")
    given = {"clip": ("method.captions=none",), "distillation": ("method.teacher=null",)}
    config = composed(f"method={method}", *fixed, *FIXED, *given.get(method, ()))
    OmegaConf.resolve(config)
    encoder, dataset = load_encoder("handcrafted"), build_dataset(config.dataset)

    def identity(config: DictConfig) -> Identity:
        return training_identity(config, build_settings(config, 6, 1), encoder, dataset)

    before, tried = identity(config), []
    for name in leaves(config):
        value = OmegaConf.select(config, name)
        value = list(value) if isinstance(value, ListConfig) else value
        OmegaConf.update(config, name, other(name, value), merge=False)
        difference = identity(config).difference(before)
        OmegaConf.update(config, name, value, merge=False)
        if counts(name):
            assert difference is not None, name
            assert difference.startswith(f"{name} is "), name
            tried.append(name)
        else:
            assert difference is None, name
    assert len(tried) > 20


def test_each_listed_exception_is_a_setting():
    """A table that names what is gone would hide the next setting of that name."""
    known = set(leaves(composed("dataset=folder", "output_dir=x", "+dataset.label_set=a")))
    known |= {"dataset.root", "encoder.weights"}
    for name in HOW_TRAINED:
        assert any(leaf == name or leaf.startswith(f"{name}.") for leaf in known), name


def test_the_folder_of_another_training_is_refused_by_its_record_or_checkpoint(
    finished: Path, broken_off: Path, images: Path
):
    saved = recorded_identity(finished)
    assert len(saved.values) > 40
    check_folder(finished, "auto", saved)
    check_folder(broken_off, "auto", saved)
    for name in saved.values:
        changed = Identity({**saved.values, name: "another"})
        with pytest.raises(ValueError, match=rf"identity.json .*: {name} is .*output_dir"):
            check_folder(finished, "auto", changed)
    for name in (*saved.values, "a new setting")[::12]:
        changed = Identity({**saved.values, name: "another"})
        with pytest.raises(ValueError, match=rf"step_00000002.pt .*: {name} is .*output_dir"):
            check_folder(broken_off, "auto", changed)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".log"
    }


@pytest.mark.parametrize(
    "override",
    [
        "method.backbone_learning_rate=0.1",
        "views.jitter=0.5",
        "precision=bf16",
        "trainer.max_steps=6",
        "+encoder.seed=1",
    ],
)
def test_the_command_with_another_setting_ends_in_one_line_and_leaves_all_as_it_was(
    images: Path, finished: Path, broken_off: Path, override: str
):
    for folder in (finished, broken_off):
        before = contents(folder)
        line = error_of_training(images, folder, *LEOPART, override)
        assert f"{override.lstrip('+').partition('=')[0]} is " in line
        assert "output_dir" in line
        assert contents(folder) == before


def other_weights(weights: Path) -> None:
    save_backbone(load_encoder(MODEL, "random", seed=5), weights)


def other_images_of_the_same_names(folder: Path) -> None:
    for path in write_images(folder.parent / "others", seed=1).iterdir():
        shutil.copy(path, folder / path.name)


def other_pixels_behind_the_same_times(folder: Path) -> None:
    first, second = folder / "im0.png", folder / "im1.png"
    stat = first.stat()
    shutil.copy(second, first)
    os.utime(first, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_weights, "encoder.weights"),
        (other_images_of_the_same_names, "dataset.content"),
        (other_pixels_behind_the_same_times, "dataset.content"),
        (lambda folder: (folder / "im3.png").unlink(), "dataset.num_images"),
    ],
)
def test_files_of_other_content_are_another_training(tmp_path: Path, change: Any, named: str):
    images, weights = write_images(tmp_path / "images"), tmp_path / "w.safetensors"
    save_backbone(load_encoder(MODEL, "random"), weights)
    given = (*LEOPART, f"encoder.weights={weights}", "trainer.max_steps=1")
    leopart_train(images, tmp_path / "out", *given)
    before = contents(tmp_path / "out")
    change(weights if change is other_weights else images)
    line = error_of_training(images, tmp_path / "out", *given)
    assert f"{named} is " in line
    assert contents(tmp_path / "out") == before


def test_a_copy_of_the_images_and_how_to_run_are_no_other_training(
    images: Path, finished: Path, broken_off: Path, tmp_path: Path
):
    copied = shutil.copytree(images, tmp_path / "copied")
    for path in copied.iterdir():
        os.utime(path, (time.time(), 1))
    backbone = (finished / "backbone.safetensors").read_bytes()
    again = ("num_workers=1", "trainer.log_every=2", "trainer.keep_checkpoints=1")
    leopart_train(copied, broken_off, *LEOPART, *again, "evaluation.page_images=1")
    assert (broken_off / "backbone.safetensors").read_bytes() == backbone
    assert "evaluation.page_images=1" in (broken_off / "report.html").read_text()


def test_weights_without_their_checkpoints_are_not_replaced_by_those_of_another_training(
    images: Path, finished: Path, tmp_path: Path
):
    folder = shutil.copytree(finished, tmp_path / "kept")
    shutil.rmtree(folder / "checkpoints")
    before = contents(folder)
    assert "method.epsilon is " in error_of_training(images, folder, *LEOPART, "method.epsilon=0.1")
    assert contents(folder) == before


def test_a_checkpoint_of_an_earlier_release_says_so(images: Path, broken_off: Path):
    path = list_checkpoints(broken_off / "checkpoints")[-1]
    content = torch.load(path, weights_only=True)
    del content["identity"]
    torch.save({**content, "version": 1}, path)
    line = error_of_training(images, broken_off, *LEOPART)
    assert path.name in line
    assert "output_dir" in line
