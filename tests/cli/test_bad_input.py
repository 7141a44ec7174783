"""Every mistake a user can make ends in one line that says what to change."""

from __future__ import annotations

import errno
import os
import pickle
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.report import read_results
from tests.cli.command import error_of, leopart_eval
from tests.evaluation.tiny_data import SIDE

ON_VOC = "dataset=voc"


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a failing run writes lands in the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def voc_root(tmp_path: Path) -> Path:
    """Two scenes as Pascal VOC."""
    write_voc(tmp_path / "VOC2012", SceneGenerator((64, 64)), {"val": 2})
    return tmp_path / "VOC2012"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset=pascal"], "'pascal'.* voc"),
        (["encoder=dino"], "'dino'.*dino_vits16"),
        (["protocol=quadratic"], "'quadratic'.* overclustering"),
        (["benchmark=voc"], "'voc'.*voc_k500"),
        ([ON_VOC], "dataset.root"),
        (["encoder=timm", "+dataset.num_images=1"], "encoder.name"),
        (["encoder=custom", "+dataset.num_images=1"], "encoder.factory"),
        ([ON_VOC, "dataset.root=nowhere"], "nowhere is not a folder; set the root"),
        (["dataset=folder", "dataset.root=."], r"\. holds no image"),
        ([ON_VOC, "dataset.root=."], "VOCdevkit"),
        (["protocol.num_cluster=5"], "'num_cluster'.*protocol.num_clusters"),
        (["+encoder.blok=3"], "'blok'.*encoder.block"),
        (["steps=3"], "no setting 'steps'"),
        (["masks=some"], "masks"),
        (["device=gpu"], "device=gpu .*device=cpu"),
        (["num_clusters"], "'num_clusters'"),
    ],
)
def test_mistyped_settings(overrides: list[str], message: str):
    assert re.search(message, error_of(*overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["dataset.split=test"], "'test'"),
        (["dataset.label_set=27"], "'27'"),
        (["protocol.num_clusters=97"], "97 clusters are more than the 96 patches of 6 images"),
        (["protocol.resolution=[4,4]", "protocol.num_clusters=4"], "smaller than one patch of 8"),
        (["encoder.weights=best.pth"], "'weights'"),
        (["encoder=dino_vits16", "encoder.weights=none.pth"], "none.pth"),
        (["encoder=timm", "encoder.name=resnet34"], "resnet34"),
        (["encoder=custom", "encoder.factory=mine"], "package.module"),
        (["encoder=custom", "encoder.factory=nowhere:f"], "nowhere"),
        (["cache_dir=data/classes.txt/x"], "classes.txt.*cache_dir"),
        (["output_dir=data/classes.txt/x"], "output_dir"),
        (["output_dir=/proc/leopart"], "output_dir"),
    ],
)
def test_settings_that_do_not_fit_the_data_or_the_machine(
    on_folder: list[str], overrides: list[str], message: str
):
    assert re.search(message, error_of(*on_folder, *overrides))


def test_missing_split_image_and_mask(voc_root: Path):
    given = [ON_VOC, f"dataset.root={voc_root}"]
    assert "'train'" in error_of(*given, "dataset.split=train")
    assert "trainaug" in error_of(*given, "dataset.split=test")
    mask = voc_root / "SegmentationClass" / "val_000001.png"
    mask.rename(voc_root / "kept.png")
    message = error_of(*given)
    assert "val_000001.png" in message
    (voc_root / "kept.png").rename(mask)
    (voc_root / "JPEGImages" / "val_000000.jpg").unlink()
    assert "val_000000.jpg" in error_of(*given)


def test_empty_split(voc_root: Path):
    listing = voc_root / "ImageSets" / "Segmentation" / "val.txt"
    listing.write_text("\n")
    assert f"{listing} lists no image" in error_of(ON_VOC, f"dataset.root={voc_root}")


def test_ids_outside_the_label_set(voc_root: Path):
    mask = voc_root / "SegmentationClass" / "val_000001.png"
    Image.fromarray(np.full((64, 64), 99, np.uint8)).save(mask)
    message = error_of(ON_VOC, f"dataset.root={voc_root}")
    assert "val_000001.png" in message
    assert "99" in message


def test_rgb_masks_are_read_by_their_colours_or_refused(voc_root: Path):
    folder = voc_root / "SegmentationClass"
    for path in folder.iterdir():  # palette masks saved as colours mean the same
        Image.open(path).convert("RGB").save(path)
    out = voc_root.parent / "out"
    given = [ON_VOC, f"dataset.root={voc_root}", f"output_dir={out}", "protocol.num_clusters=30"]
    leopart_eval(*given)
    assert 0 in read_results(out)["dataset"]["classes_present"]
    Image.new("RGB", (64, 64), (1, 2, 3)).save(folder / "val_000000.png")
    message = error_of(*given)
    assert "val_000000.png" in message
    assert "1, 2, 3" in message


def test_masks_of_another_size_stop_a_strict_run(on_folder: list[str], folder: Path):
    Image.fromarray(np.zeros((SIDE, 2 * SIDE), np.uint8)).save(folder / "masks" / "im01.png")
    message = error_of(*on_folder, "strict=true")
    assert "im01.png" in message
    assert "64 x 32" in message


def test_broken_images_stop_a_strict_run(on_folder: list[str], folder: Path):
    image = folder / "images" / "im03.png"
    image.write_bytes(image.read_bytes()[:70])
    assert re.search(
        r"im03\.png cannot be decoded .*copy it again", error_of(*on_folder, "strict=true")
    )


class Payload:
    def __reduce__(self):
        return os.system, ("true",)


def test_checkpoints_that_cannot_be_used(on_folder: list[str], tmp_path: Path):
    weights = tmp_path / "weights.pth"
    overrides = [*on_folder, "encoder=dino_vits16", f"encoder.weights={weights}"]
    torch.save(timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict(), weights)
    message = error_of(*overrides)
    assert re.search(r"weights\.pth holds .*, but dino_vits16 is ", message)
    weights.write_bytes(weights.read_bytes()[:5000])
    assert "weights.pth" in error_of(*overrides)
    weights.write_bytes(pickle.dumps(Payload(), protocol=2))
    message = error_of(*overrides)
    assert "unpickling" in message
    weights.write_text("<!doctype html>")
    assert "HTML" in error_of(*overrides)
    weights.unlink()
    os.mkfifo(weights)
    assert "weights.pth" in error_of(*overrides)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(on_folder: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert re.search("cannot reserve .*No space left on device.*; free", error_of(*on_folder))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)  # the check of the folder, before any work
        assert re.search("out: no space left on device; free some", error_of(*on_folder))
    leopart_eval(*on_folder)
    before = (tmp_path / "out" / "results.json").read_bytes()
    with monkeypatch.context() as patch:  # when all is measured and only the results are missing
        patch.setattr(os, "replace", full)
        message = error_of(*on_folder, "protocol.seeds=[7]")
        assert re.search(r"No space left on device: .*out/.*; free some space", message)
    assert (tmp_path / "out" / "results.json").read_bytes() == before


@pytest.mark.parametrize("value", ["a=1", "a=1 b=2", "protocol.seeds=[0,1] x={a: 1}", "x="])
def test_words_of_another_command_can_be_written_as_the_error_says(value: str):
    error = error_of(f"protocol={value}")
    [word] = shlex.split(error[error.index("'protocol=") :].partition(", with both")[0])
    assert OverridesParser.create().parse_override(word).value() == value


@pytest.mark.parametrize(
    "value",
    [
        "{a: {name: b, trained: recipe=c}}",
        "{a: {name: b}",
        "[a,b",
        '"a',
        "a=b",
        "true)",
        "[1,,2]",
        "{" + "a: [1, 2], " * 40,
    ],
)
@pytest.mark.parametrize("key", ["protocol", "protocol.num_clusters", "page_images"])
def test_a_value_that_hydra_cannot_read_is_named_in_the_words_of_the_user(key: str, value: str):
    error = error_of(f"{key}={value}")
    assert error.startswith(f"error: {key}: its value cannot be read")
    assert "quotes" in error
    assert "++" not in error
    assert "hydra" not in error
    assert len(error) < 300


@pytest.mark.parametrize("group", ["protocol", "dataset", "encoder"])
def test_a_choice_that_is_no_name_is_told_how_to_set_what_it_holds(group: str):
    error = error_of(f"{group}={{a: b: c}}")
    assert error.startswith(f"error: {group}: takes a name")
    assert "+" not in error
    assert error_of(f"{group}=[nonsense]").startswith(f"error: unknown {group} 'nonsense'")
