"""Headless Chromium for the tests of pages, which are opened from the file system."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright, of the extra dev, is not installed"
)
# None stands for the one that `playwright install chromium` brings.
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

_LOST = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = one => one && (["auto", "scroll"].includes(getComputedStyle(one).overflowX)
    || scrolls(one.parentElement));
  return [...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect();
    const hides = ["hidden", "clip"].includes(getComputedStyle(one).overflowX);
    const clipped = hides && one.scrollWidth > one.clientWidth + 1 && one.textContent.trim();
    const beyond = box.width > 0 && box.right > width + 1 && !scrolls(one.parentElement);
    return !one.closest(".hidden, svg") && (clipped || beyond);
  }).map(one => one.outerHTML.slice(0, 200));
}"""
"""Elements whose text is cut off, or that lie beyond the screen where nothing scrolls."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        except playwright.Error as error:
            pytest.skip(f"Chromium cannot be started (apt-get install chromium): {error}")
        yield browser
        browser.close()


class Opened:
    """A page in a browser profile of its own; it fails on errors and on any request."""

    def __init__(self, browser: Any, path: Path, before: str = "", **options: Any):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        if before:
            self.page.add_init_script(before)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def cut_off(self) -> list[str]:
        """What a reader cannot see, and a note where the page is wider than the screen."""
        sides = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        wide = [] if sides[0] <= sides[1] else [f"{sides[0]} pixels on {sides[1]}"]
        return wide + self.page.evaluate(_LOST)

    def close(self) -> None:
        self.context.close()
        assert self.errors == []
        assert {url.split(":")[0] for url in self.requests} <= {"file", "data", "blob"}
