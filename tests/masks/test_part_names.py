"""names.json: what it may hold and how mistakes in it are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.masks import PartNames, read_names
from leopart_kit.masks.part_names import parse_names

NAMES = st.dictionaries(st.integers(0, 2000), st.text(min_size=1).filter(lambda t: t == t.strip()))


def test_keys_are_clusters_or_communities(tmp_path: Path):
    path = tmp_path / "names.json"
    path.write_text('\ufeff{"0": "wheel", "part_005": " wheel ", "object_002": "car"}', "utf-8")
    assert read_names(path) == PartNames({0: "wheel", 5: "wheel"}, {2: "car"})


@given(parts=NAMES, objects=NAMES)
def test_names_read_back(parts: dict[int, str], objects: dict[int, str]):
    names = PartNames(parts, objects)
    assert parse_names(names.to_json()) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('["wheel"]', "got list"),
        ('{"wheel": "0"}', "got the key 'wheel'"),
        ('{"-1": "wheel"}', "got the key '-1'"),
        ('{"' + "9" * 5000 + '": "wheel"}', "got the key '999"),
        ('{"0": 3}', "'0'"),
        ('{"0": "  "}', "'0'"),
        ('{"0": "wheel", "0": "door"}', "part 0"),
        ('{"7": "wheel", "part_007": "door"}', "part 7"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "names.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as told:
        read_names(path)
    assert str(told.value).startswith(str(path))


@given(data=st.data())
def test_any_damage_is_told_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    path = tmp_path_factory.mktemp("names") / "names.json"
    text = '{"0": "wheel", "part_005": "Räder", "object_002": "car"}'.encode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    path.write_bytes(text[:start] + data.draw(st.binary(max_size=8)) + text[end:])
    try:
        names = read_names(path)
    except ValueError as error:
        line = str(error)
    else:
        assert all(name.strip() for name in [*names.parts.values(), *names.objects.values()])
        return
    assert line.startswith(str(path))
    assert "\n" not in line


def test_missing_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"gone\.json"):
        read_names(tmp_path / "gone.json")


def test_the_same_name_twice_is_no_conflict():
    text = json.dumps({"7": "wheel", "part_007": "wheel"})
    assert parse_names(text).parts == {7: "wheel"}
