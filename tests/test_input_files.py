"""Text, JSON and CSV of users: every encoding and every damage is read rightly or named."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.data import load_dataset
from leopart_kit.data.class_names import read_class_names
from leopart_kit.data.coco_json import check_categories, read_segments
from leopart_kit.data.layout import read_list
from leopart_kit.data.scenes.files import read_record
from leopart_kit.image_level.data import read_captions
from leopart_kit.image_level.data.imagenet import _read_classes
from leopart_kit.image_level.report import read_image_level
from leopart_kit.image_level.report.method_table import read_training
from leopart_kit.input_files import check_regular, read_csv, read_json, read_lines, read_text
from leopart_kit.masks import read_names
from leopart_kit.report import read_results
from leopart_kit.report.results_json import read_versioned
from tests.data.image_writers import flat, write_image, write_mask

MARK = "\ufeff"
LETTERS = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=8)


def captions_of(file: Path) -> object:
    write_image(file.parent / "images/a.png")
    return read_captions(file, load_dataset("folder", file.parent / "images", "all"))


JSON_READERS: dict[str, Callable[[Path], object]] = {
    "classes.json": lambda file: read_class_names(file.parent),
    "names.json": read_names,
    "panoptic.json": read_segments,
    "scenes.json": lambda file: read_record(file.parent),
    "results.json": read_results,
    "image_level/results.json": read_image_level,
    "training.json": lambda file: read_training(file.parent),
    "table.json": lambda file: read_versioned(file, "table", 1, "rows"),
}
TEXT_READERS: dict[str, Callable[[Path], object]] = {
    "classes.txt": lambda file: read_class_names(file.parent),
    "val.txt": read_list,
    "imagenet.txt": _read_classes,
    "captions.csv": captions_of,
}


@settings(max_examples=40)
@given(names=st.lists(LETTERS, min_size=1, max_size=5), data=st.data())
def test_marks_line_ends_and_blanks_are_no_part_of_a_line(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
):
    file = tmp_path_factory.mktemp("text") / "classes.txt"
    around = st.sampled_from(["", MARK, " ", "\u200b", "\t", f"{MARK}{MARK} "])
    ends = data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    lines = [data.draw(around) + name + data.draw(around) for name in names]
    file.write_bytes(ends.join(lines).encode("utf-8"))
    assert read_lines(file) == names


def test_a_mark_leaves_the_background_a_background(tmp_path: Path):
    write_image(tmp_path / "images/a.png")
    write_mask(tmp_path / "masks/a.png", flat(1))
    (tmp_path / "classes.txt").write_text("background\ncell\n", encoding="utf-8-sig")
    dataset = load_dataset("folder", tmp_path, "all")
    assert dataset.class_names == ("background", "cell")
    assert dataset.has_background


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", [*JSON_READERS, *TEXT_READERS])
def test_another_encoding_is_named_with_the_file(tmp_path: Path, name: str, encoding: str):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes('image,caption\na,"Bäume"\n'.encode(encoding))
    with pytest.raises(ValueError, match=f"{file.name}.* UTF-") as told:
        (JSON_READERS | TEXT_READERS)[name](file)
    assert_one_visible_line(told.value)


@pytest.mark.parametrize("name", JSON_READERS)
@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"annotations": [' + "[" * 100_000 + "]" * 100_000 + "]}",
        "9" * 5000,
        '{"schema_version": 1',
        "[NaN]",
        "null",
        '{"annotations": {"a": 1}, "settings": [], "layout": 1}',
        '[{"name": "a", "color": [999, 0, 0]}]',
        '{"0": "\\ud800"}',
    ],
    ids=range(11),
)
def test_damaged_json_is_named_quickly(tmp_path: Path, name: str, content: str):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=file.name) as told:
        JSON_READERS[name](file)
    assert time.perf_counter() - start < 1
    assert_one_visible_line(told.value)


def assert_one_visible_line(error: Exception) -> None:
    message = str(error)
    assert message.isprintable()
    assert len(message) < 500


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "category_id", "annotations", "segments_info", "file_name", "categories"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(annotations=st.lists(JSON_VALUES, max_size=2), values=JSON_VALUES)
def test_odd_json_of_coco_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, annotations: list[object], values: object
):
    file = tmp_path_factory.mktemp("coco") / "panoptic.json"
    for content in (values, {"annotations": annotations, "categories": annotations}):
        file.write_text(json.dumps(content))
        for read in (read_segments, check_categories):
            if (error := refusal(read, file)) is not None:
                assert str(file) in str(error)
                assert_one_visible_line(error)


def refusal(read: Callable[[Path], object], file: Path) -> ValueError | None:
    try:
        read(file)
    except ValueError as error:
        return error
    return None


def test_categories_may_hold_lists_of_their_own(tmp_path: Path):
    entry = {"id": 1, "color": [1, 2, 3], "supercategory": "person", "name": "person"}
    (tmp_path / "c.json").write_text(json.dumps({"categories": [entry], "images": [[1]]}))
    assert "c.json" in check_categories(tmp_path / "c.json", {"person": "1 person"})


@pytest.mark.parametrize(
    "color", [[999, 0, 0], [-1, 0, 0], [0, 0], [0, 0, 0, 0], "red", None, [0.5, 0, 0], [True, 0, 0]]
)
def test_colours_are_three_bytes(tmp_path: Path, color: object):
    entries = [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": color}]
    (tmp_path / "classes.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"classes\.json"):
        read_class_names(tmp_path)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('image,caption\na,x\nb,"a dog\nc,a cat\n', 3),
        ('image,caption\na,"a" dog\n', 2),
        ("image,caption\na," + "x" * 200_000 + "\n", 2),
        ("image,caption\na,b,c\n", 2),
    ],
    ids=["open quote", "text behind a quote", "a huge field", "too many fields"],
)
def test_rows_that_csv_cannot_tell_apart_are_named(tmp_path: Path, content: str, line: int):
    (tmp_path / "c.csv").write_text(content)
    with pytest.raises(ValueError, match=rf"c\.csv line {line}"):
        list(read_csv(tmp_path / "c.csv", ("image", "caption")))


def test_names_of_columns_may_have_blanks(tmp_path: Path):
    (tmp_path / "c.csv").write_text("image, caption\na,b\nc\n", encoding="utf-8-sig")
    rows = [row for _, row in read_csv(tmp_path / "c.csv", ("image", "caption"))]
    assert rows == [{"image": "a", "caption": "b"}, {"image": "c", "caption": ""}]


def test_only_regular_files_are_opened(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    for name in ("pipe", "folder", "loop", "null", "socket"):
        for read in (check_regular, read_text, read_json):
            with pytest.raises(ValueError, match=name):
                read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="gone"):
        read_text(tmp_path / "gone")
    (tmp_path / "link").symlink_to(tmp_path / "text")
    (tmp_path / "text").write_text("[1]")
    assert read_json(tmp_path / "link") == [1]


def test_segments_are_sorted_beside_the_unlabelled_one(tmp_path: Path):
    segments = [{"id": 9, "category_id": 1}, {"id": 4, "category_id": 90}]
    content = {"annotations": [{"file_name": "a.png", "segments_info": segments}]}
    (tmp_path / "p.json").write_text(json.dumps(content), encoding="utf-8-sig")
    ids, categories = read_segments(tmp_path / "p.json")["a"]
    assert np.array_equal(ids, [0, 4, 9])
    assert np.array_equal(categories, [0, 90, 1])
