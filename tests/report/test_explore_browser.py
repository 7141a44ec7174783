"""Patches compared in headless Chromium, against the cosine similarities of torch."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from leopart_kit.report.explore import (
    ClusterFacts,
    Stage,
    explore_section,
    write_explore_page,
)
from tests.report.browser import Opened, browser

__all__ = ["browser"]

GRIDS = [(4, 6), (5, 5), (4, 6)]
rng = np.random.default_rng(0)
TOKENS = [
    [rng.normal(size=(*grid, 32)).astype(np.float32) + 0.3 for grid in GRIDS] for _ in range(2)
]
IMAGES = [rng.integers(0, 256, (10 * h, 10 * w, 3), dtype=np.uint8) for h, w in GRIDS]
CLUSTERS = [np.arange(h * w).reshape(h, w) % 3 - (np.arange(w) == 0) * 9 for h, w in GRIDS]
FACTS = ClusterFacts(["paw", "ear", "tail"], [(0, 1, 0.25), (2, 1, 0.5), (1, 1, 9.0)])
NAMES = ["first", "a&b <2>", "third"]


def page_of(path: Path, *stages: Stage) -> Path:
    section = explore_section(NAMES, IMAGES, stages, FACTS)
    return write_explore_page(section, path / "explore.html", "Zoo & co")


def similarity(stage: int, one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    vectors = [torch.from_numpy(TOKENS[stage][i][r, c]) for i, r, c in (one, other)]
    return float(torch.cosine_similarity(*vectors, dim=0))


class ExplorePage(Opened):
    """The page, opened once it has drawn something."""

    def __init__(self, browser: Any, path: Path, **options: Any):
        super().__init__(browser, path, **options)
        self.page.locator(".matches li").first.wait_for()

    def place(self, image: int, row: int, column: int, stage: int = 0) -> tuple[Any, dict]:
        field = self.page.locator(".explored figure").nth(image).locator(".field").nth(stage)
        box, (rows, columns) = field.bounding_box(), GRIDS[image]
        x, y = box["width"] * (column + 0.5) / columns, box["height"] * (row + 0.5) / rows
        return field, {"x": x, "y": y}

    def hover(self, image: int, row: int, column: int) -> None:
        field, position = self.place(image, row, column)
        field.hover(position=position)
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => done()))")

    def click(self, image: int, row: int, column: int) -> None:
        field, position = self.place(image, row, column)
        field.click(position=position)

    @property
    def read(self) -> list[float]:
        text = self.page.locator(".read").inner_text().split(" to ")[0].replace("−", "-")
        return [float(number) for number in re.findall(r"-?\d\.\d\d", text)]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Any:
    opened = ExplorePage(browser, page_of(tmp_path, Stage("", TOKENS[0], CLUSTERS)))
    yield opened
    opened.close()


def test_the_similarity_of_two_patches_is_that_of_torch(opened: ExplorePage):
    kept = (0, 1, 2)
    opened.click(*kept)
    for other in ((0, 3, 5), (1, 0, 0), (2, 2, 3)):
        opened.hover(*other)
        assert opened.read == [pytest.approx(similarity(0, kept, other), abs=0.02)]


def test_best_matches_are_the_most_similar_patches(opened: ExplorePage):
    opened.hover(1, 4, 4)
    words = opened.page.locator(".matches button").all_inner_texts()
    values = {}
    for image, (rows, columns) in enumerate(GRIDS):
        values[NAMES[image]] = max(
            similarity(0, (1, 4, 4), (image, r, c))
            for r in range(rows)
            for c in range(columns)
            if image != 1 or max(abs(r - 4), abs(c - 4)) > 2
        )
    found = {text.split(" ", 1)[1]: float(text.split(" ", 1)[0]) for text in words}
    assert found == {name: pytest.approx(value, abs=0.02) for name, value in values.items()}
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_patch_names_its_cluster_and_the_neighbours_of_it(opened: ExplorePage):
    asked = opened.page.locator(".asked")
    opened.hover(0, 0, 1)
    assert (
        asked.inner_text()
    ) == "first, row 0, column 1 · ear · neighbours in the graph: tail (0.50), paw (0.25)"
    opened.hover(0, 2, 0)
    assert asked.inner_text() == "first, row 2, column 0", "of no cluster"


def test_keys_move_the_patch_and_escape_lets_go(opened: ExplorePage):
    opened.click(2, 1, 1)
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowDown")
    assert "third, row 2, column 2" in opened.page.locator(".asked").inner_text()
    opened.page.keyboard.press("Escape")
    opened.hover(0, 3, 3)
    assert "first, row 3, column 3" in opened.page.locator(".asked").inner_text()


def test_views_are_drawn_and_faded(opened: ExplorePage):
    canvas = opened.page.locator(".field canvas").first
    drawn = "one => one.toDataURL()"
    pictures = [canvas.evaluate(drawn)]
    for view in ("pca", "clusters"):
        opened.page.get_by_label("What the colours show").select_option(view)
        pictures.append(canvas.evaluate(drawn))
    data = pictures[2].removeprefix("data:image/png;base64,")
    opaque = np.array(Image.open(BytesIO(base64.b64decode(data))))[..., 3] > 0
    np.testing.assert_array_equal(opaque, CLUSTERS[0] >= 0)
    assert pictures[0] != pictures[1] != pictures[2]
    opened.page.get_by_label("Opacity of the colours of patches").fill("20")
    assert canvas.evaluate("one => getComputedStyle(one).opacity") == "0.2"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_before_and_after_a_training_on_a_phone(browser: Any, tmp_path: Path, scheme: str):
    stages = Stage("before", TOKENS[0]), Stage("after", TOKENS[1])
    viewport = {"width": 390, "height": 800}
    path = page_of(tmp_path, *stages)
    opened = ExplorePage(browser, path, viewport=viewport, color_scheme=scheme, has_touch=True)
    field, position = opened.place(0, 1, 1)
    field.tap(position=position)
    opened.hover(2, 3, 3)
    assert opened.read == [
        pytest.approx(similarity(stage, (0, 1, 1), (2, 3, 3)), abs=0.02) for stage in (0, 1)
    ]
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    opened.close()


def test_many_images_stay_within_the_bytes_of_a_page(tmp_path: Path):
    number = 40
    tokens = list(rng.normal(size=(number, 64, 64, 32)).astype(np.float32))
    image = np.zeros((8, 8, 3), np.uint8)
    names = [str(i) for i in range(number)]
    section = explore_section(names, [image] * number, [Stage("", tokens)])
    path = write_explore_page(section, tmp_path / "explore.html", "many")
    assert path.stat().st_size < 6_000_000
    assert [section.data["images"][i]["name"] for i in (0, -1)] == ["0", "39"]


@pytest.mark.parametrize("number", [0, 2])
def test_stages_must_show_the_images(number: int):
    with pytest.raises(ValueError, match="image"):
        explore_section(NAMES[:number], IMAGES[:number], [Stage("", TOKENS[0])])
