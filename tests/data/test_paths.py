"""Folders and files whose name is a number, and what is no path at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leopart_kit.data import (
    files_below,
    folder_images,
    list_datasets,
    load_dataset,
    read_image,
    read_label_map,
)
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.image_level.data import read_captions
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.input_files import read_text
from tests.data.image_writers import flat, write_image, write_mask

READERS: dict[str, Callable[[Any], object]] = {
    "load_dataset": lambda path: load_dataset("folder", path, "all"),
    "load_classification": lambda path: load_classification("image_folder_classes", path, "3"),
    "files_below": files_below,
    "folder_images": folder_images,
    "PredictionFolder": PredictionFolder,
    "read_captions": lambda path: read_captions(path, load_dataset("folder", "2012", "all")),
    "read_image": read_image,
    "read_label_map": read_label_map,
    "read_text": read_text,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "2012/3/4/a.png")
    write_mask(tmp_path / "2012/masks/3/4/a.png", flat(1))
    write_image(tmp_path / "a.png").rename(tmp_path / "7")
    (tmp_path / "8").write_text("image,caption\n3/4/a.png,a cat\n")
    return tmp_path


def test_a_number_is_a_name(here: Path):
    dataset = load_dataset("folder", 2012, 3)  # type: ignore[arg-type]
    assert dataset.names == ("4/a",)
    assert dataset.load_mask(0) is not None
    classes = load_classification("image_folder_classes", 2012, 3)  # type: ignore[arg-type]
    assert classes.class_names == ("4",)
    assert len(PredictionFolder(2012)) == 2  # type: ignore[arg-type]
    assert len(folder_images(2012)) == 1  # type: ignore[arg-type]
    whole = load_dataset("folder", "2012", "all")
    assert read_captions(8, whole).texts == ["a cat"]  # type: ignore[arg-type]
    assert read_image(7).shape[0] == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("odd", [None, True, 3.5, [1], {}, b"x", "", " ", "a\0b", "a" * 300, 99])
def test_what_is_no_path_is_one_line(here: Path, name: str, odd: object):
    with pytest.raises((ValueError, OSError)) as told:
        READERS[name](odd)
    assert str(told.value).isprintable()


@pytest.mark.parametrize("name", list_datasets())
@pytest.mark.parametrize("odd", [None, True, [1], {}, b"x", "", "a\0b"])
def test_every_data_set_names_what_is_no_root_or_split(here: Path, name: str, odd: Any):
    with pytest.raises(ValueError, match=r"dataset\.root"):
        load_dataset(name, odd, "train")
    if odd is not None:  # that is the usual split
        with pytest.raises((ValueError, FileNotFoundError)):
            load_dataset(name, "2012", odd)


def test_a_number_is_no_open_file(here: Path):
    with open("8") as file, pytest.raises(FileNotFoundError):
        read_text(file.fileno())  # type: ignore[arg-type]
