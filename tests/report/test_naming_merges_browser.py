"""Parts merged, and actions undone, on the naming page, in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leopart_kit.masks.part_names import PartNames, read_names
from leopart_kit.report.naming import write_naming_page
from tests.report.browser import browser
from tests.report.naming_page import NamingPage, page_path
from tests.report.naming_parts import some_parts

__all__ = ["browser", "page_path"]


def test_alike_parts_are_merged_or_kept_apart(browser: Any, page_path: Path, tmp_path: Path):
    opened = NamingPage(browser, page_path)
    one, two = opened.suggested[:2]
    assert (one, two) == ("Part 1 and Part 4", "Part 2 and Part 3")
    opened.press(f"{two}: keep apart")
    assert two not in opened.suggested
    opened.press(f"{one}: merge")
    assert one not in opened.suggested
    assert opened.joined(1) == "One class with Part 4: 28 % of the patches, in 11 images."
    assert opened.names() == [""] * 6
    assert opened.count == "0 of 6 named"
    # Without a name the file holds the one that the lowest would have had.
    merged = read_names(opened.download(tmp_path / "a.json"))
    assert merged.parts == {1: "part_001", 4: "part_001"}
    opened.page.reload()
    assert opened.joined(4) == "One class with Part 1: 28 % of the patches, in 11 images."
    assert two not in opened.suggested
    opened.name_of(4).fill("wheel")
    assert opened.names() == ["", "wheel", "", "", "wheel", ""]
    opened.press("Take Part 1 out of its class")
    assert opened.names() == ["", "", "", "", "wheel", ""]
    assert one in opened.suggested
    for _ in range(2):
        opened.press("Undo")
    assert opened.joined(1)
    opened.load(tmp_path / "a.json")
    assert opened.joined(1)
    opened.close()


def test_a_file_of_merged_parts_merges_them_on_another_page(browser: Any, tmp_path: Path):
    names = PartNames({0: "part_000", 2: "part_000", 5: "wheel", 3: "part_005"})
    path = write_naming_page(
        some_parts(), tmp_path / "parts.html", model_id="x", title="Zoo", names=names
    )
    opened = NamingPage(browser, path)
    assert opened.joined(0).startswith("One class with Part 2:")
    assert opened.names() == ["", "", "", "part_005", "", "wheel"]  # its part has another name
    opened.name_of(2).fill("sky")
    assert read_names(opened.download(tmp_path / "names.json")).parts == {
        **names.parts,
        0: "sky",
        2: "sky",
    }
    opened.close()


def load_and_wait(opened: NamingPage, file: Path) -> None:
    file.write_text('{"0": "sky", "3": "part_002", "2": "part_002"}')
    opened.load(file)
    opened.page.wait_for_function("() => document.querySelector('#name-0').value === 'sky'")


ACTIONS = {
    "name": lambda opened, _: opened.name_of(1).press_sequentially("wheel"),
    "offer": lambda opened, _: opened.press("Name Part 2 background"),
    "merge": lambda opened, _: opened.press(f"{opened.suggested[0]}: merge"),
    "decline": lambda opened, _: opened.press(f"{opened.suggested[0]}: keep apart"),
    "take out": lambda opened, _: opened.press("Take Part 1 out of its class"),
    "load": load_and_wait,
}


@pytest.mark.parametrize("keys", [False, True], ids=["buttons", "keys"])
def test_every_action_is_undone_and_done_again(
    browser: Any, page_path: Path, tmp_path: Path, keys: bool
):
    opened = NamingPage(browser, page_path)

    def state() -> Any:
        return opened.names(), [opened.joined(k) for k in range(6)], opened.suggested, opened.counts

    def press(button: str, key: str) -> None:
        opened.page.keyboard.press(key) if keys else opened.press(button)

    states = [state()]
    for action in ("name", "offer", "merge", "name", "decline", "take out", "load"):
        ACTIONS[action](opened, tmp_path / "loaded.json")
        states.append(state())
    assert len({str(found) for found in states}) == len(states)
    for expected in states[-2::-1]:
        press("Undo", "Control+z")
        assert state() == expected
    assert opened.page.get_by_role("button", name="Undo").is_disabled()
    for expected in states[1:]:
        press("Redo", "Control+Shift+Z")
        assert state() == expected
    assert opened.page.get_by_role("button", name="Redo").is_disabled()
    opened.close()
