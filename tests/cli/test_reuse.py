"""When results and trainings stand in for new ones: what counts as other data."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from leopart_kit.backbones import Encoder
from leopart_kit.cli.reuse import Images, measured_on, same_results, trained_on
from leopart_kit.data import ClassificationDataset, load_classification, load_dataset
from tests.evaluation.image_level.tiny_images import TwoLayers, write_colours
from tests.evaluation.tiny_data import write_folder


def colours(root: Path, split: str = "train") -> ClassificationDataset:
    return load_classification("image_folder_classes", root, split)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_colours(tmp_path / "data", "train", 2)
    write_colours(tmp_path / "data", "test", 2, seed=1)
    return tmp_path / "data"


def test_images_and_classes_are_data_and_their_place_is_not(root: Path, tmp_path: Path):
    before = measured_on([colours(root)])
    assert measured_on([colours(shutil.copytree(root, tmp_path / "moved"))]) == before
    data = colours(root)
    assert measured_on([replace(data, labels=data.labels[::-1])]) != before
    assert measured_on([replace(data, class_names=("b", "g", "r"))]) != before
    assert measured_on([data, colours(root, "test")]) != before
    image = root / "train" / "red" / "00.png"
    image.write_bytes(image.read_bytes() + b" ")
    changed = measured_on([colours(root)])
    assert changed != before
    shutil.copy(image, image.with_name("more.png"))
    assert measured_on([colours(root)]) not in (before, changed)


def test_masks_are_data_of_a_measurement_alone(tmp_path: Path):
    write_folder(tmp_path, 3)
    config = {"dataset": {"name": "folder", "root": str(tmp_path), "split": "all"}, "method": {}}

    def both() -> tuple[dict[str, str], dict[str, str]]:
        measured = measured_on([load_dataset("folder", tmp_path, "all")])
        return measured, trained_on(OmegaConf.create(config))

    measured, trained = both()
    Image.fromarray(np.full((32, 32), 3, np.uint8)).save(tmp_path / "masks" / "im00.png")
    masks_changed, still_trained = both()
    assert (masks_changed != measured, still_trained == trained) == (True, True)
    (tmp_path / "classes.txt").write_text("background\ncow\ndog\nsheep\n")
    assert both()[0] != masks_changed, "names of the classes"


def test_captions_are_data_of_a_training(root: Path, tmp_path: Path):
    captions = tmp_path / "mine.csv"
    dataset = {"name": "image_folder_classes", "root": str(root), "split": "train"}
    config = OmegaConf.create({"dataset": dataset, "method": {"captions": str(captions)}})
    captions.write_text("image,caption\nred/00,red\n")
    before = trained_on(config)
    assert trained_on(config) == before
    captions.write_text("image,caption\nred/00,hot\n")
    assert trained_on(config) != before
    captions.unlink()
    assert trained_on(config) != before, "the training says that it is missing"


@pytest.fixture
def network() -> Encoder:
    return TwoLayers()


def results(data: list[Images], network: Encoder, **changed: Any) -> dict[str, Any]:
    """Results of a network on data, as far as they are looked at."""
    return {
        "encoder": {"sha256": network.fingerprint()},
        "settings": {"epochs": 2, "num_workers": 4, **measured_on(data)},
        "dataset": {"broken": []},
        **changed,
    }


def found(document: dict[str, Any], data: list[Images], network: Encoder, **settings: Any) -> bool:
    """Whether the document stands in for a measurement of two epochs."""
    asked = {"epochs": 2, "num_workers": 0, **measured_on(data), **settings}
    return same_results(lambda folder: document, Path(), network, asked, data) is document


def test_results_are_those_of_the_same_settings_weights_and_data(root: Path, network: Encoder):
    data: list[Images] = [colours(root)]
    document = results(data, network)
    assert found(document, data, network)
    assert not found(document, data, network, epochs=3)
    assert not found(document, data, TwoLayers(seed=1))
    assert not found(document, [colours(root, "test")], network)
    del document["settings"]["dataset_sha256"]
    assert not found(document, data, network), "of an earlier release"


def test_no_results_are_none(root: Path, network: Encoder):
    def missing(folder: Path) -> dict[str, Any]:
        raise FileNotFoundError(folder)

    assert same_results(missing, root, network, {}, [colours(root)]) is None


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
