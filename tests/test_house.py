"""Measures of the code that may not get worse, and how they are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import house


def test_the_structure_is_no_worse():
    over = [str(m) for m in house.of_structure() if m.most is None or m.found > m.most]
    assert not over


def test_lines_of_code_are_counted():
    text = '''"""Words
of a module."""

import os  # a remark


class Settings:
    """Words."""

    size: int = 3
    """Words of a setting."""

    def text(self) -> str:
        # A remark.
        return """two
lines"""
'''
    assert house.code_lines(text) == 6


def test_arrows_run_between_boxes_and_not_inside_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(house, "REPOSITORY", tmp_path)
    files = {
        "__init__.py": "from pack.one import a",
        "one.py": "from pack import store\nimport os",
        "store/__init__.py": "",
        "store/first.py": "from pack.store.second import b\nfrom pack.one import a",
        "store/second.py": "from pack import name_of_the_front",
    }
    for name, text in files.items():
        (tmp_path / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pack" / name).write_text(text)
    assert house.boxes(tmp_path / "pack") == ["__init__", "one", "store"]
    assert house.arrows(tmp_path / "pack") == {
        ("__init__", "one"),
        ("one", "store"),
        ("store", "one"),
        ("store", "__init__"),
    }


def test_a_name_of_two_things_is_found():
    one, other = object(), object()
    packages = {"a": {"x": one, "y": one}, "b": {"x": one, "y": other}, "c": {"z": one}}
    assert house.names_of_several_things(packages) == {"y"}
