"""The pictures of report.html in headless Chromium."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leopart_kit.evaluation.result import Result, Sample
from leopart_kit.report.page import write_page
from tests.report.browser import Opened, browser

__all__ = ["browser"]


@pytest.fixture
def samples(sample: Sample) -> list[Sample]:
    """One of each: half right, all right, wrong but for a little, and one without labels."""
    assert sample.target is not None
    target = np.where(sample.target == 255, 1, sample.target)
    labels = {
        "half": sample.prediction,
        "right": target,
        "wrong": np.where(target == 1, 0, 1),
        "bare": target,
    }
    return [
        replace(
            sample,
            name=name,
            target=np.full_like(target, 255) if name == "bare" else target,
            prediction=prediction,
            clusters=prediction * 3,
        )
        for name, prediction in labels.items()
    ]


@pytest.fixture
def opened(browser: Any, result: Result, samples: list[Sample], tmp_path: Path) -> Any:
    opened = Opened(browser, write_page(result, samples, tmp_path))
    yield opened
    opened.close()


def shown(opened: Opened) -> list[str]:
    figures = opened.page.locator("#pictures .sample:visible")
    return figures.evaluate_all("all => all.map(one => one.dataset.name)")


def test_pictures_are_sorted_and_filtered(opened: Opened):
    order = opened.page.get_by_label("Order of the pictures")
    order.select_option("worst")
    assert shown(opened) == ["wrong", "half", "right", "bare"]
    order.select_option("best")
    assert shown(opened) == ["right", "half", "wrong", "bare"]
    opened.page.get_by_label("Class in the picture").select_option("<cat>")
    assert shown(opened) == ["right", "half", "wrong"]
    opened.page.get_by_label("Find a picture by name").fill("HAL")
    assert shown(opened) == ["half"]
    assert opened.page.locator("#pictures .count").inner_text() == "1 of 4 images"
    opened.page.get_by_label("Find a picture by name").fill("zebra")
    assert opened.page.get_by_text("No picture fits").is_visible()


def test_the_slider_uncovers_the_photograph(opened: Opened):
    slider = opened.page.get_by_label("Opacity of the colours", exact=True)
    for value in ("0", "35", "100"):
        slider.fill(value)
        labels = opened.page.locator("#pictures .stack .classes").first
        opacity = labels.evaluate("one => getComputedStyle(one).opacity")
        assert float(opacity) == float(value) / 100
    opened.page.get_by_label("Colours drawn as").select_option("outlined")
    lines = opened.page.locator("#pictures .stack canvas").first.evaluate(
        """one => [...one.getContext("2d").getImageData(0, 0, one.width, one.height).data]
                  .filter((_, i) => i % 4 === 3)"""
    )
    drawn = np.array(lines).reshape(30, 40)
    assert np.flatnonzero(drawn.any(axis=0)).tolist() == [17, 18, 19, 20], "2 on either side of 19"


def test_one_cursor_says_what_lies_under_it_in_every_panel(opened: Opened):
    figure = opened.page.locator("#pictures .sample").first
    photo = figure.locator(".stack").first
    box = photo.bounding_box()
    photo.hover(position={"x": box["width"] * 0.55, "y": box["height"] / 2})
    said = figure.locator("output").inner_text()
    assert said == "ground truth: <cat>, prediction: sky & sea, clusters: cluster 0"
    assert figure.locator(".pointed").count() == 4
    photo.focus()
    for _ in range(5):  # a tenth of the width
        opened.page.keyboard.press("ArrowRight")
    assert "prediction: <cat>, clusters: cluster 3" in figure.locator("output").inner_text()


def test_a_picture_is_enlarged_and_the_next_one_follows(opened: Opened):
    page = opened.page
    page.get_by_role("button", name="Enlarge: Prediction of half").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator(".sample-name").inner_text() == "half"
    box = dialog.locator(".stack").bounding_box()
    assert min(box["width"], box["height"]) >= 480
    assert box["width"] / box["height"] == pytest.approx(4 / 3, rel=0.01)
    dialog.get_by_role("button", name="Ground truth").click()
    page.keyboard.press("ArrowRight")
    assert dialog.locator(".sample-name").inner_text() == "right"
    assert dialog.locator(".stack").get_attribute("data-caption") == "Ground truth"
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a_phone(
    browser: Any, result: Result, samples: list[Sample], tmp_path: Path, scheme: str
):
    viewport = {"width": 390, "height": 800}
    path = write_page(result, samples, tmp_path)
    opened = Opened(browser, path, viewport=viewport, color_scheme=scheme, has_touch=True)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    opened.page.locator("#pictures .stack").first.tap()
    assert opened.page.get_by_role("dialog").bounding_box()["width"] == 390
    opened.close()
