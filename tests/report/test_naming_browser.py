"""The naming page in headless Chromium, opened from the file system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leopart_kit.cli.export_masks import main as export
from leopart_kit.masks.part_names import PartNames, read_names
from leopart_kit.report.naming import write_naming_page
from tests.cli.command import run_command_line
from tests.evaluation.tiny_data import COLOURS, SIDE
from tests.report.browser import Opened, browser
from tests.report.naming_parts import some_parts, some_photos

__all__ = ["browser"]


class NamingPage(Opened):
    """The naming page, opened."""

    def name_of(self, part: int) -> Any:
        return self.page.get_by_label(f"Name of Part {part}", exact=True)

    def names(self, parts: int = 6) -> list[str]:
        return [self.name_of(part).input_value() for part in range(parts)]

    @property
    def count(self) -> str:
        """Named parts, as the line of counts begins."""
        return self.counts.split(" · ")[0]

    @property
    def counts(self) -> str:
        return self.page.get_by_role("status").inner_text()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    @property
    def order(self) -> list[str]:
        articles = self.page.locator(".part:not([hidden])")
        return articles.evaluate_all("all => all.map(one => one.dataset.key)")

    @property
    def suggested(self) -> list[str]:
        """Pairs that are suggested, by the titles of their parts."""
        buttons = self.page.locator("#pairs button[data-what=merge]")
        labels = buttons.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
        return [label.removesuffix(": merge") for label in labels]

    def joined(self, part: int) -> str:
        line = self.page.locator(f'.part[data-key="{part}"] .joined')
        return line.locator("span").inner_text() if line.is_visible() else ""

    @property
    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def pixel(self, x: float, y: float) -> list[int]:
        """Colour of the drawing over the opened photograph at a place, as shares of its sides."""
        return self.page.evaluate(
            """([x, y]) => {
                const canvas = document.querySelector('dialog canvas');
                const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
                const copy = new OffscreenCanvas(1, 1).getContext('2d');
                copy.drawImage(canvas, ...at, 1, 1, 0, 0, 1, 1);
                return [...copy.getImageData(0, 0, 1, 1).data];
            }""",
            [x, y],
        )

    def download(self, path: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name="Download names.json").click()
        assert waiting.value.suggested_filename == "names.json"
        waiting.value.save_as(path)
        return path

    def load(self, path: Path) -> None:
        with self.page.expect_file_chooser() as waiting:
            self.page.get_by_role("button", name="Load names.json", exact=True).click()
        waiting.value.set_files(path)


@pytest.fixture
def page_path(tmp_path: Path) -> Path:
    """Six parts; two of the photographs of their crops are on the page."""
    return write_naming_page(
        some_parts(),
        tmp_path / "parts.html",
        model_id="ab12",
        title="Zoo",
        photos=some_photos(),
    )


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


def test_a_crop_opens_its_photograph_with_the_part_lit(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    crops = opened.page.locator('.part[data-key="1"] .crop')
    crops.nth(0).click()
    assert opened.dialog.get_by_text("Part 1", exact=True).is_visible()
    assert opened.dialog.get_by_text("photo & 0").is_visible()
    stripe = [(part + 0.5) / 6 for part in range(6)]
    assert [opened.pixel(0.5, y)[3] > 100 for y in stripe] == [True, False, *[True] * 4]
    assert opened.dialog.locator("img").evaluate("image => image.naturalWidth") == 80
    opened.dialog.get_by_label("Name of Part 1, enlarged").fill("wheel")
    assert opened.name_of(1).input_value() == "wheel"
    # Another part is lit where it is clicked, and named at once.
    box = opened.dialog.locator(".stack").bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * stripe[3])
    assert opened.dialog.get_by_text("Part 3", exact=True).is_visible()
    opened.page.mouse.down()
    opened.page.mouse.up()
    assert opened.pixel(0.5, stripe[3])[3] == 0 < opened.pixel(0.5, stripe[1])[3]
    opened.dialog.get_by_label("Name of Part 3, enlarged").fill("door")
    assert opened.names()[:4] == ["", "wheel", "", "door"]
    for view, lit in (("All parts", 153), ("Photograph", 0)):
        opened.press(view)
        assert opened.pixel(0.5, stripe[5])[3] == lit
    opened.page.keyboard.press("Escape")
    assert not opened.dialog.is_visible()
    opened.close()


def test_crops_are_gone_through_by_keys(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    crops = opened.page.locator('.part[data-key="0"] .crop')
    crops.nth(0).focus()
    opened.page.keyboard.press("Enter")
    shown = opened.dialog.locator(".sample-name")
    names = [shown.inner_text()]
    for _ in range(6):
        opened.page.keyboard.press("ArrowRight")
        names.append(shown.inner_text())
    assert names == [f"photo & {image}" for image in (0, 1, 2, 3, 0, 1, 0)]  # on to the next part
    assert opened.dialog.get_by_text("Part 1", exact=True).is_visible()
    opened.page.keyboard.press("ArrowLeft")
    assert opened.dialog.get_by_text("Part 0", exact=True).is_visible()
    for letter in "ear":  # letters go into the name
        opened.page.keyboard.press(letter)
    opened.page.keyboard.press("Enter")
    opened.page.keyboard.type("eye")
    assert opened.names()[:3] == ["ear", "eye", ""]
    opened.page.keyboard.press("Escape")
    opened.press("Undo")
    assert opened.names()[:2] == ["ear", ""]
    opened.close()


def test_a_photograph_that_is_not_on_the_page_is_said(browser: Any, page_path: Path):
    opened = NamingPage(browser, page_path)
    opened.page.locator('.part[data-key="2"] .crop').nth(3).click()
    assert opened.dialog.get_by_text("photo & 3").is_visible()
    assert opened.dialog.get_by_text("the page holds only the crop").is_visible()
    opened.dialog.get_by_role("button", name="Close").click()
    assert not opened.dialog.is_visible()
    opened.close()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(browser: Any, page_path: Path, width: int, scheme: str):
    viewport = {"width": width, "height": 800}
    opened = NamingPage(browser, page_path, viewport=viewport, color_scheme=scheme, has_touch=True)
    colours = opened.page.evaluate(
        """() => ['color', 'backgroundColor'].map(
            name => getComputedStyle(document.body)[name].match(/\\d+/g).map(Number))"""
    )
    assert (sum(colours[0]) > sum(colours[1])) == (scheme == "dark")
    outside = """() => [...document.querySelectorAll('body *')].filter(one => {
        const box = one.getBoundingClientRect();
        return one.checkVisibility() && box.width > 1 && (box.right > innerWidth || box.left < 0);
    }).map(one => one.outerHTML.slice(0, 80))"""
    assert opened.page.evaluate(outside) == []
    opened.page.locator('.part[data-key="1"] .crop').nth(0).tap()
    assert opened.dialog.is_visible()
    assert opened.page.evaluate(outside) == []
    box = opened.dialog.locator(".stack").bounding_box()
    assert box is not None
    assert box["height"] > 200
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
