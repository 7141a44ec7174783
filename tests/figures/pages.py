"""The figures and pictures that a reader of a page sees, without its wording."""

from __future__ import annotations

import base64
import io
import re
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

# Minus as typed and as printed. Digits inside names (val_000001, ViT-S/16, voc_k21) are no figures.
_NUMBER = re.compile(r"(?<![\w./-])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?!\.?\w|/)")
_WORDING = re.compile(r"\b95 % ")  # of "95 % interval": a rate is printed with its decimal
_COST = re.compile(r"\d[\d.,]* ?(?:s|ms|min|minutes?|hours?|[KMG]i?B|images/s)\b")

_ROWS = {"tr", "figcaption", "dd", "li", "text", "article"}
_UNSEEN = {"thead", "script", "style", "pre", "code", "template"}
_EMPTY = {"img", "meta", "link", "input", "br", "hr", "path", "circle", "line", "rect"}


def numbers(text: str) -> str:
    """The numbers of a text, in order, without times and amounts of memory."""
    text = _WORDING.sub(" ", _COST.sub(" ", text))
    return " ".join(_NUMBER.findall(text)).replace("−", "-").replace(",", "")


def picture_digest(picture: Image.Image) -> str:
    """Digest of pixels and palette, whatever the file's compression."""
    palette = picture.getpalette() or []
    head = f"{picture.mode} {picture.size} {palette if picture.mode == 'P' else ''}"
    return sha256(head.encode() + np.asarray(picture).tobytes()).hexdigest()[:16]


class _Page(HTMLParser):
    """Rows of figures and digests of pictures.

    A row is a table's row, a definition, an item or a caption. Lists of class `plain` are left out:
    they hold settings, versions and times. The settings are also told by the file of the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.pictures: list[str] = []
        self._open: list[tuple[str, bool]] = []  # tag, whether its text is left out
        self._texts: list[tuple[int, list[str]]] = []  # depth of a row, its text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        source = given.get("src") or given.get("href") or ""
        if tag in ("img", "image") and source.startswith("data:image/"):
            content = base64.b64decode(source.partition("base64,")[2])
            if not source.startswith("data:image/svg"):
                self.pictures.append(picture_digest(Image.open(io.BytesIO(content))))
        if tag in _EMPTY:
            return
        hidden = bool(self._open) and self._open[-1][1]
        plain = tag == "dl" and "plain" in (given.get("class") or "").split()
        self._open.append((tag, hidden or plain or tag in _UNSEEN))
        if tag in _ROWS and not self._open[-1][1]:
            self._texts.append((len(self._open), []))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, _ = self._open.pop()
            if self._texts and self._texts[-1][0] > len(self._open):
                self._close_row()
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._texts and not self._open[-1][1]:
            self._texts[-1][1].append(data)

    def _close_row(self) -> None:
        _, texts = self._texts.pop()
        found = numbers(" ".join(texts))
        if found:
            self.rows.append(found)


def page_figures(file: Path) -> tuple[list[str], list[str]]:
    """Rows of numbers and digests of pictures of an HTML page or an SVG, both sorted."""
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    page.close()
    return sorted(page.rows), sorted(page.pictures)


def table_figures(file: Path) -> list[str]:
    """The rows of numbers of a Markdown file's tables, sorted."""
    lines = [*file.read_text(encoding="utf-8").splitlines(), ""]
    body = (line for line, then in pairwise(lines) if not then.startswith("| ---"))
    rows = (numbers(line.replace("|", " ")) for line in body if line.startswith("|"))
    return sorted(row for row in rows if row)
