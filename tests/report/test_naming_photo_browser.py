"""Photographs opened on the naming page, in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import browser
from tests.report.naming_page import NamingPage, page_path

__all__ = ["browser", "page_path"]


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
