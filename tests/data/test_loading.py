"""Data sets by name."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from leopart_kit.data.loading import list_datasets, load_dataset
from tests.data.image_writers import flat, write_image, write_mask

OF_FILES = ("list", "webdataset", "huggingface")
"""Data sets whose splits are named by files, whatever they are."""


def test_name_split_and_label_set_choose_the_data_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    write_image(tmp_path / "leftImg8bit/val/ulm/ulm_0_leftImg8bit.png")
    write_mask(tmp_path / "gtFine/val/ulm/ulm_0_gtFine_labelIds.png", flat(7))
    with caplog.at_level(logging.INFO):
        dataset = load_dataset("cityscapes", tmp_path, "val", "27", source="labelIds")
    assert (dataset.name, dataset.split, dataset.num_classes) == ("cityscapes", "val", 27)
    assert dataset.root == tmp_path
    assert "27 classes" in caplog.text
    assert "masks from labelIds" in caplog.text


def test_without_a_split_it_is_that_of_the_commands(tmp_path: Path):
    write_image(tmp_path / "a.png")
    assert load_dataset("folder", tmp_path).split == "all"


def test_unknown_names_list_the_choices(tmp_path: Path):
    with pytest.raises(ValueError, match="unknown dataset 'pascal'"):
        load_dataset("pascal", tmp_path, "val")
    with pytest.raises(ValueError, match="no setting 'encoding'"):
        load_dataset("cityscapes", tmp_path, "val", encoding="x")
    with pytest.raises(ValueError, match="no setting 'source'"):
        load_dataset("voc", tmp_path, "val", source="x")


@pytest.mark.parametrize("name", sorted(set(list_datasets()) - {"scenes", "single_image"}))
def test_a_missing_root_is_named(tmp_path: Path, name: str):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_dataset(name, tmp_path / "nowhere", "val")


def test_scenes_make_their_root(tmp_path: Path):
    dataset = load_dataset(
        "scenes", tmp_path / "new", "val", "parts", num_images=2, image_size=(48, 64)
    )
    assert len(dataset) == 2
    assert (tmp_path / "new").is_dir()
    assert dataset[0][0].shape == (3, 48, 64)


@pytest.mark.parametrize("name", list_datasets())
def test_every_data_set_lists_its_splits_and_label_sets(tmp_path: Path, name: str):
    if name in OF_FILES:
        with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
            load_dataset(name, tmp_path, "monday")
    else:
        with pytest.raises(ValueError, match="no split 'monday'"):
            load_dataset(name, tmp_path, "monday")
    split = "all" if name in ("folder", *OF_FILES) else "val"
    with pytest.raises(ValueError, match="'mine'"):
        load_dataset(name, tmp_path, split, "mine")
