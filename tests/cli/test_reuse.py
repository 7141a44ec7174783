"""When results and trainings stand in for new ones: what counts as other data."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leopart_kit.backbones import Encoder
from leopart_kit.cli.reuse import Images, measurement_identity, same_results
from leopart_kit.data import load_dataset
from leopart_kit.data.label_sets import LabelSet, LabelTable
from leopart_kit.data.segmentation import Sample, SegmentationDataset, read_classes
from leopart_kit.image_level.data import ClassificationDataset
from leopart_kit.image_level.data.loading import load_classification
from tests.evaluation.tiny_data import write_folder
from tests.image_level.evaluation.tiny_images import TwoLayers, write_colours


def colours(root: Path, split: str = "train") -> ClassificationDataset:
    return load_classification("image_folder_classes", root, split)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_colours(tmp_path / "data", "train", 2)
    write_colours(tmp_path / "data", "test", 2, seed=1)
    return tmp_path / "data"


def content(*data: Images) -> str:
    """What a measurement of one network on these data follows from."""
    return measurement_identity({}, TwoLayers(), data).sha256


def test_images_and_classes_are_data_and_their_place_is_not(root: Path, tmp_path: Path):
    before = content(colours(root))
    assert content(colours(shutil.copytree(root, tmp_path / "moved"))) == before
    os.utime(root / "train" / "red" / "00.png", (1, 1))
    assert content(colours(root)) == before
    data = colours(root)
    assert content(replace(data, labels=data.labels[::-1])) != before
    assert content(replace(data, class_names=("b", "g", "r"))) != before
    assert content(data, colours(root, "test")) != before
    image = root / "train" / "red" / "00.png"
    image.write_bytes(image.read_bytes() + b" ")
    changed = content(colours(root))
    assert changed != before
    shutil.copy(image, image.with_name("more.png"))
    assert content(colours(root)) not in (before, changed)


def test_masks_are_data_of_a_measurement(tmp_path: Path):
    write_folder(tmp_path, 3)

    def measured() -> str:
        return content(load_dataset("folder", tmp_path, "all"))

    found = [measured()]
    mask = tmp_path / "masks" / "im00.png"
    Image.fromarray(np.full((32, 32), 3, np.uint8)).save(mask)
    found.append(measured())
    shutil.copy(mask, tmp_path / "kept.png")  # two masks change places: every sum stays
    shutil.copy(tmp_path / "masks" / "im01.png", mask)
    shutil.copy(tmp_path / "kept.png", tmp_path / "masks" / "im01.png")
    found.append(measured())
    (tmp_path / "classes.txt").write_text("background\ncow\ndog\nsheep\n")
    found.append(measured())
    assert len(set(found)) == len(found)


def test_the_same_masks_read_otherwise_are_other_data():
    labels = LabelSet("two", ("a", "b"))
    tables = [LabelTable({0: 0, 1: 1}, ""), LabelTable({1: 0, 0: 1}, "")]
    found = {
        SegmentationDataset(
            "own", "all", ".", labels, [Sample("a", "a.png")], partial(read_classes, table=table)
        ).mask_fingerprint()
        for table in tables
    }
    assert len(found) == 2


SETTINGS = {"epochs": 2, "num_workers": 4, "protocol": {"name": "unsupervised", "prior": None}}


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"num_workers": 0, "device": "cuda", "masks": False, "output_dir": "/x"}, True),
        ({"encoder": {"weights": "/elsewhere"}, "dataset": {"root": "/elsewhere"}}, True),
        ({"epochs": 3}, False),
        ({"a_new_setting": 1}, False),
        ({"protocol": {"name": "unsupervised", "prior": None, "seeds": [1]}}, False),
    ],
)
def test_settings_count_unless_they_say_how(
    root: Path, network: Encoder, settings: dict[str, Any], same: bool
):
    before = measurement_identity(SETTINGS, network, [colours(root)])
    now = measurement_identity({**SETTINGS, **settings}, network, [colours(root)])
    assert (now == before) is same


def test_a_prior_counts_by_its_weights(root: Path, network: Encoder):
    node = {"protocol": {"prior": {"name": "x", "weights": "the_same.pth"}}}
    found = {
        measurement_identity(node, network, [colours(root)], TwoLayers(seed=seed)).sha256
        for seed in (0, 1)
    }
    assert len(found) == 2


def test_a_file_of_clusters_counts_by_its_content(root: Path, network: Encoder, tmp_path: Path):
    file, found = tmp_path / "clusters.csv", set()
    for text in ("name,cluster\nred/00,1\n", "name,cluster\nred/00,2\n"):
        file.write_text(text)
        settings = {"assignments": str(file)}
        found.add(measurement_identity(settings, network, [colours(root)]).sha256)
    assert len(found) == 2


@pytest.fixture
def network() -> Encoder:
    return TwoLayers()


def results(data: list[Images], network: Encoder, **changed: Any) -> dict[str, Any]:
    """Results of a network on data, as far as they are looked at."""
    identity = measurement_identity(SETTINGS, network, data)
    return {"settings": {"identity": identity.sha256}, "dataset": {"broken": []}, **changed}


def found(document: dict[str, Any], data: list[Images], network: Encoder, **settings: Any) -> bool:
    """Whether the document stands in for a measurement of two epochs."""
    identity = measurement_identity({**SETTINGS, **settings}, network, data)
    return same_results(lambda folder: document, Path(), identity, data) is document


def test_results_are_those_of_the_same_settings_weights_and_data(root: Path, network: Encoder):
    data: list[Images] = [colours(root)]
    document = results(data, network)
    assert found(document, data, network)
    assert not found(document, data, network, epochs=3)
    assert not found(document, data, TwoLayers(seed=1))
    assert not found(document, [colours(root, "test")], network)
    del document["settings"]["identity"]
    assert not found(document, data, network), "of an earlier release"


def test_no_results_are_none(root: Path, network: Encoder):
    def missing(folder: Path) -> dict[str, Any]:
        raise FileNotFoundError(folder)

    data = [colours(root)]
    identity = measurement_identity(SETTINGS, network, data)
    assert same_results(missing, root, identity, data) is None


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_can_be_read_by_now_is_other_data(root: Path, network: Encoder, split: str):
    """Such as one without permission, of which neither size nor time has changed."""
    (root / split / "red" / "00.png").write_bytes(b"no image")
    data: list[Images] = [colours(root, "test"), colours(root, "train")]
    for name, same in (("red/00", True), ("red/01", False)):
        left_out = {"broken": [{"split": split, "name": name, "reason": "it was locked"}]}
        assert found(results(data, network, dataset=left_out), data, network) is same


def test_a_mask_or_a_training_image_left_out_is_looked_at_again(tmp_path: Path, network: Encoder):
    write_folder(tmp_path / "scored", 2)
    write_folder(tmp_path / "learned", 2)
    (tmp_path / "scored" / "masks" / "im00.png").write_bytes(b"no mask")
    (tmp_path / "learned" / "images" / "im00.png").write_bytes(b"no image")
    data: list[Images] = [
        load_dataset("folder", tmp_path / n, "all") for n in ("scored", "learned")
    ]
    for name, same in (("im00", True), ("im01", False)):
        entry = {"name": name, "reason": "it was locked"}
        assert found(results(data, network, dataset={"broken": [entry]}), data, network) is same
        details = {"training_images_left_out": [entry]}
        assert found(results(data, network, details=details), data, network) is same
