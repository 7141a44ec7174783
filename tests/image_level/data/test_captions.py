"""Captions are matched to images by path or name; a row that fits nothing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.image_level.data import read_captions
from tests.data.image_writers import write_image


@pytest.fixture
def dataset(tmp_path: Path) -> SegmentationDataset:
    for name in ("cat/one.png", "cat/two.png", "dog/one.png"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path)
    return load_dataset("folder", tmp_path / "root", "all")


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "captions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_in_order_by_path_name_or_absolute_path(dataset, tmp_path: Path):
    absolute = dataset.image_path(0)
    path = csv(
        tmp_path,
        "\ufeffid,image,caption\n"
        "1,dog/one.png,a dog\n"
        '2,cat/two,"a cat, asleep"\n'
        f"3,{absolute},ein Kätzchen\n"
        "4,dog/one.png,the same dog\n",
    )
    captions = read_captions(path, dataset)
    names = [dataset.names[i] for i in captions.indices]
    assert names == ["dog/one", "cat/two", "cat/one", "dog/one"]
    assert captions.texts == ["a dog", "a cat, asleep", "ein Kätzchen", "the same dog"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,text\ncat/one.png,x\n", r"captions.csv"),
        ("", "has no column 'image'"),
        ("image,caption\ncat/one.png,a cat\ncow.png,a cow\n", "line 3"),
        ("image,caption\ncat/one.png, \n", "line 2"),
        ("image,caption\ncat/one.png\n", "line 2"),
        ("image,caption\n", "holds no row"),
        (
            "image,caption\ncat/one.png,a cat\ncat/two.png,A cat, asleep\n",
            "captions.csv line 3",
        ),
    ],
)
def test_mistakes_name_the_line(dataset, tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_captions(csv(tmp_path, text), dataset)


def test_empty_fields_at_the_end_of_a_row_are_no_mistake(dataset, tmp_path: Path):
    path = csv(tmp_path, "image,caption\ncat/one.png,a cat,,\n")
    assert read_captions(path, dataset).texts == ["a cat"]


def test_a_file_that_is_not_there(dataset, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"none.csv"):
        read_captions(tmp_path / "none.csv", dataset)
