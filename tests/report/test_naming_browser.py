"""Names typed, found, ordered and kept on the naming page, in headless Chromium."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from leopart_kit.cli.export_masks import main as export
from leopart_kit.masks.part_names import PartNames, read_names
from leopart_kit.report.naming import write_naming_page
from tests.cli.command import run_command_line
from tests.evaluation.tiny_data import COLOURS, SIDE
from tests.report.browser import browser
from tests.report.naming_page import NamingPage, page_path
from tests.report.naming_parts import some_parts

__all__ = ["browser", "page_path"]


def test_two_parts_named_alike_survive_a_reload_and_reach_the_export(
    browser: Any, page_path: Path, tmp_path: Path
):
    opened = NamingPage(browser, page_path)
    assert opened.count == "0 of 6 named"
    opened.name_of(1).fill("wheel")
    opened.name_of(4).fill(" wheel ")
    opened.page.get_by_role("button", name="Name Part 2 background").click()
    assert opened.count == "3 of 6 named"
    options = opened.page.locator("#known-names option")
    assert options.evaluate_all("all => all.map(one => one.value)") == ["background", "wheel"]
    expected = {1: "wheel", 2: "background", 4: "wheel"}
    assert read_names(opened.download(tmp_path / "a.json")) == PartNames(expected)
    opened.page.reload()
    assert opened.names() == ["", "wheel", "background", "", "wheel", ""]
    opened.name_of(2).fill("")
    opened.page.reload()
    saved = opened.download(tmp_path / "b.json")
    assert json.loads(saved.read_text()) == {"1": "wheel", "4": "wheel"}
    opened.close()


def test_pages_of_different_models_do_not_share_names(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    opened.name_of(0).fill("sky")
    other = write_naming_page(
        some_parts(), page_path.with_name("b.html"), model_id="cd34", title="Zoo"
    )
    opened.page.goto(other.as_uri())
    assert opened.names() == [""] * 6
    again = write_naming_page(
        some_parts(), page_path.with_name("c.html"), model_id="ab12", title="Zoo"
    )
    opened.page.goto(again.as_uri())
    assert opened.names()[0] == "sky"
    opened.close()


def test_without_storage_the_address_keeps_the_names(browser: Any, page_path: Path):
    denied = "Object.defineProperty(window, 'localStorage', {get() {throw new Error('denied')}})"
    opened = NamingPage(browser, page_path, before=denied)
    opened.name_of(3).fill("größer & “more”")
    opened.page.reload()
    assert opened.names()[3] == "größer & “more”"
    opened.close()


def test_enter_goes_to_the_next_part_that_is_shown(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    opened.name_of(0).focus()
    for text in ("ear", "eye"):
        opened.page.keyboard.type(text)
        opened.page.keyboard.press("Enter")
    opened.page.keyboard.press("Shift+Enter")
    opened.page.keyboard.type("nose")
    assert opened.names()[:3] == ["ear", "nose", ""]
    opened.page.get_by_label("without a name").check()
    assert [opened.name_of(part).is_visible() for part in range(3)] == [False, False, True]
    opened.name_of(2).fill("paw")
    opened.name_of(2).press("Enter")
    opened.page.keyboard.type("tail")
    assert opened.names()[:4] == ["ear", "nose", "paw", "tail"]
    opened.close()


def test_parts_are_found_by_number_and_name(browser: Any, tmp_path: Path):
    path = write_naming_page(some_parts(13), tmp_path / "parts.html", model_id="x", title="Zoo")
    opened = NamingPage(browser, path)
    opened.name_of(7).fill("Left wheel")
    search = opened.page.get_by_label("Find a part by number or name")

    def shown() -> list[int]:
        return [part for part in range(13) if opened.name_of(part).is_visible()]

    for wanted, found in (
        ("1", [1]),
        ("12", [12]),
        ("WHEEL", [7]),
        ("zebra", []),
        ("", [*range(13)]),
    ):
        search.fill(wanted)
        assert shown() == found
        assert opened.page.get_by_text("No part fits").is_visible() == (not found)
    opened.close()


def test_loaded_names_take_the_place_of_the_others(browser: Any, page_path: Path, tmp_path: Path):
    opened = NamingPage(browser, page_path)
    opened.name_of(0).fill("gone")
    names = tmp_path / "names.json"
    names.write_text('{"part_005": "tail", "2": "ear", "99": "far", "object_001": "dog"}')
    opened.load(names)
    opened.page.get_by_text("Kept, though not on this page: 99, object_001.").wait_for()
    assert opened.names() == ["", "", "ear", "", "", "tail"]
    saved = read_names(opened.download(tmp_path / "out.json"))
    assert saved == PartNames({2: "ear", 5: "tail", 99: "far"}, {1: "dog"})
    for wrong, reason in (
        ("[", "was not loaded"),
        ('{"x": "y"}', "“x” is not the number of a part"),
        ('{"1": 2}', "the name of “1” is not text"),
    ):
        names.write_text(wrong)
        opened.load(names)
        opened.page.get_by_text(reason).wait_for()
        assert opened.names()[5] == "tail"
    opened.close()


def test_names_that_were_given_are_shown_and_typed_ones_go_before_them(
    browser: Any, tmp_path: Path
):
    names = PartNames({0: "</script><b>", 1: 'a "b"', 50: "elsewhere"})
    path = write_naming_page(
        some_parts(), tmp_path / "parts.html", model_id="x", title="Zoo", names=names
    )
    opened = NamingPage(browser, path)
    assert opened.names()[:2] == ["</script><b>", 'a "b"']
    opened.name_of(1).fill("c")
    opened.page.reload()
    saved = read_names(opened.download(tmp_path / "names.json"))
    assert saved.parts == {0: "</script><b>", 1: "c", 50: "elsewhere"}
    opened.close()


def test_counts_follow_the_names(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    assert opened.counts == "0 of 6 named · 0 % of the patches · in 0 of 12 images"
    opened.name_of(5).fill("tail")  # 40 / 6 %, in 7 images
    assert opened.counts == "1 of 6 named · 6.7 % of the patches · in 7 of 12 images"
    opened.name_of(0).fill("body")
    assert opened.counts == "2 of 6 named · 47 % of the patches · in 12 of 12 images"
    opened.close()


def test_parts_are_ordered_by_size_likeness_and_number(browser: Any, tmp_path: Path):
    mixed = [some_parts()[index] for index in (2, 0, 1, 5, 4, 3)]
    path = write_naming_page(mixed, tmp_path / "parts.html", model_id="x", title="Zoo")
    opened = NamingPage(browser, path)
    given = ["2", "0", "1", "5", "4", "3"]
    assert opened.order == given
    opened.page.get_by_label("Order of the parts").select_option("by number")
    assert opened.order == [str(part) for part in range(6)]
    opened.page.get_by_label("Order of the parts").select_option("alike side by side")
    order = opened.order
    for one, other in (("1", "4"), ("2", "3")):
        assert abs(order.index(one) - order.index(other)) == 1
    opened.name_of(int(order[0])).press("Enter")  # goes on in the order that is shown
    opened.page.keyboard.type("second")
    assert opened.name_of(int(order[1])).input_value() == "second"
    opened.page.get_by_label("Order of the parts").select_option("largest first")
    assert opened.order == given
    opened.close()


def test_names_typed_on_the_page_of_one_folder_name_the_masks_of_another(
    browser: Any, tmp_path: Path
):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for index, colours in enumerate(([0, 1], [2, 3], [1, 2])):
            ids = np.repeat(np.array(colours), SIDE // 2)[:, None].repeat(SIDE, axis=1)
            Image.fromarray(COLOURS[ids]).save(tmp_path / folder / f"{index}.png")
    encoder = ("encoder=custom", "encoder.factory=tests.cli.mean_colours:mean_colours")
    first, second = tmp_path / "out1", tmp_path / "out2"
    run_command_line(
        export,
        "leopart export",
        [
            f"images={tmp_path / 'first'}",
            *encoder,
            "protocol.num_clusters=4",
            "protocol.resolution=[32,32]",
            f"output_dir={first}",
        ],
    )
    opened = NamingPage(browser, first / "parts.html")
    opened.name_of(0).fill("wheel")
    opened.name_of(3).fill("wheel")
    opened.page.get_by_role("button", name="Name Part 1 background").click()
    opened.page.locator('.part[data-key="2"] .crop').first.click()
    assert opened.dialog.locator("canvas").is_visible()
    opened.page.keyboard.press("Escape")
    names = opened.download(tmp_path / "names.json")
    opened.close()
    run_command_line(
        export,
        "leopart export",
        [
            f"images={tmp_path / 'second'}",
            *encoder,
            f"model={first / 'model.npz'}",
            f"names={names}",
            f"output_dir={second}",
        ],
    )
    before, after = (json.loads((out / "classes.json").read_text()) for out in (first, second))
    assert [item["name"] for item in before] == [f"part_{part:03d}" for part in range(4)]
    assert [(item["name"], item["clusters"]) for item in after] == [
        ("wheel", [0, 3]),
        ("part_002", [2]),
    ]
    for file in sorted((first / "masks").glob("*.png")):
        with Image.open(file) as one, Image.open(second / "masks" / file.name) as other:
            expected = np.array([0, 1, 0, 3, 1])[np.array(one)]  # part 1 is gone, part 3 is part 0
            np.testing.assert_array_equal(np.array(other), expected)
