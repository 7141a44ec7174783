"""Class names beside a user's masks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leopart_kit.data.class_names import read_class_names


def test_no_file_no_names(tmp_path: Path):
    assert read_class_names(tmp_path) == (None, None)


def test_text_file(tmp_path: Path):
    (tmp_path / "classes.txt").write_text("soil\r\n\n  fine root \n")
    assert read_class_names(tmp_path) == (("soil", "fine root"), None)


def test_json_of_names_goes_before_text(tmp_path: Path):
    (tmp_path / "classes.txt").write_text("a")
    (tmp_path / "classes.json").write_text('["soil", "root"]')
    assert read_class_names(tmp_path) == (("soil", "root"), None)


def test_json_with_colours(tmp_path: Path):
    entries = [{"name": "soil", "color": [1, 2, 3]}, {"name": "root", "color": [4, 5, 6]}]
    (tmp_path / "classes.json").write_text(json.dumps(entries))
    assert read_class_names(tmp_path) == (("soil", "root"), ((1, 2, 3), (4, 5, 6)))
    del entries[1]["color"]
    (tmp_path / "classes.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"classes\.json"):
        read_class_names(tmp_path)
    del entries[0]["color"]
    (tmp_path / "classes.json").write_text(json.dumps(entries))
    assert read_class_names(tmp_path) == (("soil", "root"), None)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        '{"a": 1}',
        "3",
        '[{"label": "a"}]',
        '[{"name": "a", "color": 4}]',
        '["a", {"name": "b"}]',
    ],
)
def test_other_forms_are_explained(tmp_path: Path, content: str):
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(ValueError, match=r"classes\.json"):
        read_class_names(tmp_path)


def test_number_of_classes_is_bounded(tmp_path: Path):
    (tmp_path / "classes.json").write_text("[]")
    with pytest.raises(ValueError, match=r"classes\.json.*0"):
        read_class_names(tmp_path)
    (tmp_path / "classes.json").write_text(json.dumps(["x"] * 256))
    with pytest.raises(ValueError, match=r"classes\.json.*256"):
        read_class_names(tmp_path)
