"""The category tables against facts from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leopart_kit.data.coco_json import check_categories, read_categories
from leopart_kit.data.coco_labels import (
    MERGED_STUFF,
    NEVER_ANNOTATED,
    OTHER,
    STUFF,
    THINGS,
    categories,
)
from leopart_kit.data.coco_stuff import LABEL_SETS, coco_classes

# Coarse class of stuffthingmaps ids 0 to 181 in the 27-class set (PiCIE, Cho et al. 2021; STEGO).
COARSE_27 = [
    9, *[11] * 8, *[8] * 6, *[7] * 10, *[6] * 8, *[10] * 10, *[5] * 8, *[2] * 10, *[3] * 10,
    *[0] * 6, *[1] * 6, *[4] * 8,
    17, 17, 22, 20, 20, 22, 15, 25, 16, 13, 12, 12, 17, 17, 23, 15, 15, 17, 15, 21, 15, 25, 13, 13,
    13, 13, 13, 22, 26, 14, 14, 15, 22, 21, 21, 24, 20, 22, 15, 17, 16, 15, 22, 24, 21, 17, 25, 16,
    21, 17, 22, 16, 21, 21, 25, 21, 26, 21, 24, 20, 17, 14, 21, 26, 15, 23, 20, 21, 24, 15, 24, 22,
    25, 15, 20, 17, 17, 22, 14, 18, 18, 18, 18, 18, 18, 18, 26, 26, 19, 19, 24,
]  # fmt: skip


def test_numbers_of_categories():
    assert len(categories(THINGS)) == 80
    assert len(categories(STUFF)) == 91
    assert len(categories(NEVER_ANNOTATED)) == 11
    assert sorted(categories(THINGS, NEVER_ANNOTATED)) == list(range(1, 92))
    assert sorted(categories(STUFF)) == list(range(92, 183))
    assert sorted(categories(MERGED_STUFF)) == list(range(184, 201))
    assert {name: len(classes) for name, classes in LABEL_SETS.items()} == {
        "stuff-27": 27, "stuff-15": 15, "things-12": 12, "full": 171,
    }  # fmt: skip


def test_stuff_is_numbered_in_alphabetical_order():
    """As its authors state, which catches most slips in a table of 91 names."""
    names = [name for name, _ in categories(STUFF).values()]
    assert names == sorted(names)
    assert len(set(LABEL_SETS["full"])) == 171


def test_the_27_classes_are_those_of_picie():
    assert len(COARSE_27) == 182
    classes = coco_classes("stuff-27")
    assert [classes[stored + 1] for stored in range(182)] == COARSE_27


def test_15_and_12_are_alphabetical_and_leave_the_rest_out():
    stuff, things = coco_classes("stuff-15"), coco_classes("things-12")
    assert LABEL_SETS["stuff-15"][:3] == ("building", "ceiling", "floor")
    assert LABEL_SETS["things-12"][:3] == ("accessory", "animal", "appliance")
    assert (stuff[1], stuff[96], stuff[183], stuff[181], stuff[197]) == (255, 0, 255, 14, 0)
    assert (things[1], things[28], things[96], things[183]) == (9, 0, 255, 255)
    # The never annotated thing "window" is furniture, not the stuff supercategory.
    assert (stuff[68], things[68]) == (255, 5)


def test_full_closes_the_gaps():
    full = coco_classes("full")
    annotated = sorted(categories(THINGS, STUFF))
    assert [full[coco_id] for coco_id in annotated] == list(range(171))
    assert (full[12], full[183], full[184]) == (255, 255, 255)
    assert LABEL_SETS["full"][full[92]] == "banner"


def test_categories_are_cut_out_of_a_json(tmp_path: Path):
    file = tmp_path / "stuff_val2017.json"
    entries = [{"id": 92, "name": "banner", "supercategory": "textile"}]
    content = {"annotations": [{"bbox": [1, 2, 3, 4]}], "categories": entries, "images": [[]]}
    file.write_text(json.dumps(content, indent=1))
    assert read_categories(file) == entries
    assert check_categories(file, STUFF) == "categories of stuff_val2017.json"


@pytest.mark.parametrize("content", ["", "{}", '{"categories": [', '{"categories": 3}'])
def test_json_without_categories_is_named(tmp_path: Path, content: str):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(ValueError, match=r"c\.json"):
        read_categories(tmp_path / "c.json")


def test_foreign_categories_are_refused(tmp_path: Path):
    file = tmp_path / "c.json"
    file.write_text('{"categories": [{"id": 92, "name": "lung", "supercategory": "organ"}]}')
    with pytest.raises(ValueError, match=r"c\.json.*92"):
        check_categories(file, STUFF)


def test_real_json_agrees_with_the_tables(shared_dir: Path):
    folder = shared_dir / "data" / "coco200" / "annotations"
    panoptic = folder / "panoptic_annotations" / "panoptic_val2017.json"
    known = categories(THINGS, STUFF, MERGED_STUFF)
    found = {int(c["id"]): (c["name"], c["supercategory"]) for c in read_categories(panoptic)}
    assert len(found) == 133
    assert found == {coco_id: known[coco_id] for coco_id in found}
    stuff = folder / "annotations" / "stuff_annotations" / "stuff_val2017.json"
    assert check_categories(stuff, STUFF, OTHER) == "categories of stuff_val2017.json"
