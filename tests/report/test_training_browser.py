"""The page of a training in headless Chromium: what changed, the same images, the same patches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leopart_kit.evaluation.result import Result, Sample
from leopart_kit.report import explore_result, training_opening, training_section
from leopart_kit.report.page import write_page
from tests.report.browser import Opened, browser
from tests.report.test_training_section import logged, outcomes, shifted

__all__ = ["browser"]

GRID = (6, 8)
rng = np.random.default_rng(0)
BEFORE, AFTER = ([rng.normal(size=(*GRID, 24)).astype(np.float32) for _ in "ab"] for _ in "ab")


@pytest.fixture
def page(result: Result, sample: Sample, tmp_path: Path) -> Path:
    """Two images: the training found what was missed in one, and lost the other."""
    first = replace(result, per_image={"100x100": outcomes(40)})
    scores = tuple(shifted(table, 5.25) for table in result.scores)
    second = replace(result, scores=scores, per_image={"100x100": outcomes(60)})
    assert sample.target is not None
    right, wrong = sample.target % 255, np.zeros_like(sample.target)

    def shown(*predictions: np.ndarray) -> list[Sample]:
        return [
            replace(sample, name=name, prediction=found, clusters=3 * found)
            for name, found in zip(("one", "two"), predictions, strict=True)
        ]

    before, after = shown(wrong, right), shown(right, wrong)
    sections = [
        training_section(logged(), first, second),
        *explore_result(second, after, AFTER, (before, BEFORE)),
    ]
    opening = training_opening(first, second)
    return write_page(
        second, after, tmp_path, samples_before=before, opening=opening, sections=sections
    )


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=str)
def opened(browser: Any, page: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    width, scheme = request.param
    viewport = {"width": width, "height": 900}
    opened = Opened(browser, page, viewport=viewport, color_scheme=scheme)
    yield opened
    opened.close()


def test_what_the_training_changed(opened: Opened):
    page = opened.page
    assert opened.cut_off() == []
    assert page.locator("header h2").inner_text() == "What the training changed"
    # The interval of mIoU leaves 0; nothing else was counted image by image.
    coloured = page.locator("header .value").evaluate_all(
        "all => all.map(one => [one.innerText, getComputedStyle(one).color])"
    )
    plain = page.locator("header h1").evaluate("one => getComputedStyle(one).color")
    gains = [text for text, colour in coloured if colour != plain]
    assert gains
    assert all(text.startswith("+") for text in gains)
    pictures = page.locator("#pictures .sample").first
    captions = pictures.locator(".caption").all_text_contents()
    assert [text.strip() for text in captions[2:4]] == ["Prediction before", "Prediction after"]
    names = "#pictures .sample:visible"
    for order, wanted in (("gained", ["one", "two"]), ("lost", ["two", "one"])):
        page.get_by_label("Order of the pictures").select_option(order)
        assert page.locator(names).evaluate_all("all => all.map(o => o.dataset.name)") == wanted


def test_a_patch_is_compared_before_and_after(opened: Opened):
    page = opened.page
    page.locator(".matches li").first.wait_for()

    def at(image: int, row: int, column: int, stage: int) -> tuple[Any, dict[str, float]]:
        field = page.locator(".explored figure").nth(image).locator(".field").nth(stage)
        field.scroll_into_view_if_needed()
        box = field.bounding_box()
        x, y = (column + 0.5) / GRID[1] * box["width"], (row + 0.5) / GRID[0] * box["height"]
        return field, {"x": x, "y": y}

    field, place = at(0, 1, 2, 1)
    field.click(position=place)
    field, place = at(1, 4, 6, 0)
    field.hover(position=place)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")
    said = page.locator(".read").inner_text().split(" to ")[0].replace("−", "-")
    wanted = [
        float(torch.cosine_similarity(*map(torch.from_numpy, (t[0][1, 2], t[1][4, 6])), dim=0))
        for t in (BEFORE, AFTER)
    ]
    found = [float(number) for number in re.findall(r"-?\d\.\d\d", said)]
    assert found == pytest.approx(wanted, abs=0.02)
