"""The naming page, opened in headless Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leopart_kit.report.naming import write_naming_page
from tests.report.browser import Opened
from tests.report.naming_parts import some_parts, some_photos


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
