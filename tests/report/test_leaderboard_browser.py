"""The leaderboard in headless Chromium: what is copied, what is drawn, and what fits a phone."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leopart_kit.report import write_leaderboard_page
from leopart_kit.report.pictures import photo_uri
from leopart_kit.report.results_json import write_json
from tests.report.browser import Opened, browser
from tests.report.odd_boards import BOARDS, LONG

__all__ = ["browser"]

CLIPBOARD: Any = {"permissions": ["clipboard-read", "clipboard-write"]}


def page_of(name: str, folder: Path) -> Path:
    """The page, with pictures of the evaluations that are not too many."""
    for found in BOARDS[name]["benchmarks"] if name != "many" else ():
        for row in found["rows"]:
            if "miou" in row:
                write_pictures(folder / row["encoder"] / found["name"])
    return write_leaderboard_page(BOARDS[name], folder / "leaderboard.html", f"Board {name}")


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    uri = photo_uri(np.zeros((60, 90, 3), np.uint8))
    panels = dict.fromkeys(("Image", "Ground truth", "Prediction", "Clusters"), uri)
    image = {"name": LONG, "size": [360, 240], "miou": 12.5, "panels": panels}
    write_json({"schema_version": 1, "images": [image]}, folder / "pictures.json")


def copied(opened: Opened, name: str) -> str:
    opened.page.locator(f"summary:has-text('{name}')").evaluate("s => s.parentElement.open = true")
    button = opened.page.get_by_role("button", name=f"Copy {name}")
    button.click()
    opened.page.get_by_role("button", name="Copied").wait_for()
    return opened.page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_copied_holds_the_figures(browser: Any, tmp_path: Path, name: str):
    opened = Opened(browser, page_of(name, tmp_path), **CLIPBOARD)
    lines = list(csv.DictReader(io.StringIO(copied(opened, "CSV"))))
    rows = [(b, row) for b in BOARDS[name]["benchmarks"] for row in b["rows"] if "miou" in row]
    assert len(lines) == len(rows)
    for line, (found, row) in zip(lines, rows, strict=True):
        assert (line["benchmark"], line["encoder"]) == (found["name"], row["encoder"])
        for figure in ("miou", "miou_present", "pixel_accuracy"):
            ends = [line[f"{figure}{end}"] for end in ("", "_std", "_low", "_high")]
            values = [row[figure]["mean"], row[figure]["std"], *row[figure]["ci95"]]
            assert [float(end) if end else None for end in ends] == values
    opened.page.reload()
    latex = copied(opened, "LaTeX")
    opened.close()
    columns = re.search(r"\\begin{tabular}{(\w+)}", latex)
    assert columns
    body = re.sub(r"\\[&%$#_{}]", "", latex.split("\n", 1)[1])  # what is escaped
    assert body.count("{") == body.count("}")
    assert not re.search(r"[#^~<>|]", body)
    names = {row["encoder"] for _, row in rows if row["miou"]["mean"] is not None}
    written = [line for line in body.split("\n") if line.endswith("\\\\")]
    assert len(written) == 1 + len(names)
    assert {line.count("&") + 1 for line in written} == {len(columns[1])}


def test_bars_show_the_intervals_and_the_spread(browser: Any, tmp_path: Path):
    opened = Opened(browser, page_of("many", tmp_path))
    rows = BOARDS["many"]["benchmarks"][0]["rows"]
    chart = opened.page.locator(".ranks").first
    top = max(row["miou_present"]["mean"] for row in rows)
    for number in (0, 20, 39):
        bar, wanted = chart.locator("li").nth(number), rows[number]["miou"]
        track = bar.locator(".track").bounding_box()

        def ends(kind: str, bar: Any = bar, track: dict = track) -> list[float]:
            box = bar.locator(kind).bounding_box()
            places = (box["x"], box["x"] + box["width"])
            return [top * (place - track["x"]) / track["width"] for place in places]

        close = 1.5 * top / track["width"]  # a pixel and a half
        assert ends(".whisker") == pytest.approx(wanted["ci95"], abs=close)
        band = [wanted["mean"] - wanted["std"], wanted["mean"] + wanted["std"]]
        assert ends(".seeds") == pytest.approx(band, abs=close)
        assert ends(".fill")[1] == pytest.approx(wanted["mean"], abs=close)
        diamond = sum(ends(".present")) / 2
        assert diamond == pytest.approx(rows[number]["miou_present"]["mean"], abs=close)
    opened.close()


def test_the_best_is_marked_and_what_is_level_with_it(browser: Any, tmp_path: Path):
    opened = Opened(browser, page_of("many", tmp_path))
    line = opened.page.locator("#overview tbody tr").first
    marked = "all => all.map(one => one.dataset.label)"
    assert line.locator(".best").evaluate_all(marked) == ["encoder_00"]
    assert line.locator(".level").evaluate_all(marked) == ["encoder_01", "encoder_02"]
    opened.close()
    opened = Opened(browser, page_of("one", tmp_path))
    assert opened.page.locator(".best").count() == 0, "nothing to be better than"
    opened.close()


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_cut_off(browser: Any, tmp_path: Path, name: str, width: int, scheme: str):
    viewport = {"width": width, "height": 800}
    opened = Opened(browser, page_of(name, tmp_path), viewport=viewport, color_scheme=scheme)
    assert opened.cut_off() == []
    measured = [row for row in BOARDS[name]["benchmarks"][0]["rows"] if "miou" in row]
    shown = 0 if name == "many" else len(measured) + 2  # and photo and truth
    assert opened.page.locator(".side-by-side").first.locator("img").count() == shown
    if name == "long":
        behind = opened.page.get_by_text("p = 0.001")
        assert behind.bounding_box()["x"] + behind.bounding_box()["width"] <= width
        assert opened.page.get_by_role("rowheader", name=LONG).first.is_visible()
    opened.close()
