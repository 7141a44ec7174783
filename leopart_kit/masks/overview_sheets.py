"""overview.png: every image of an export under the colours of its classes, with a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from leopart_kit.data.image_files import read_reduced
from leopart_kit.drawing import fit_labels, outline, overlay
from leopart_kit.masks.part_classes import ClassTable
from leopart_kit.masks.regions import LabelledImage, Region, draw
from leopart_kit.whole_file import whole_file

PER_SHEET = 12
_COLUMNS, _WIDTH, _HEIGHT, _GAP = 3, 420, 315, 14  # images, pixels
_LINE, _SWATCH, _ENTRY = 22, 14, 210  # pixels; of an entry of the legend
_PAPER, _INK = (255, 255, 255), (34, 34, 34)


class OverviewSheets:
    """Writes `folder/overview.png`, then `overview_2.png`, …, each of up to twelve images.

    An image is drawn with the regions that were exported, its name below it. The legend names the
    classes that occur on the sheet. Sheets are written as they fill, so that memory stays small.
    """

    def __init__(self, folder: Path, table: ClassTable, max_megapixels: float) -> None:
        self._folder = folder
        self._names = {item.id: item.name for item in table.classes}
        self._palette = table.palette
        self._max_megapixels = max_megapixels
        self._cells: list[Image.Image] = []
        self._seen: set[int] = set()
        self._number = 0

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Draw an image; returns the sheet that it filled, if it did. Raises `OSError`."""
        self._cells.append(self._cell(image, draw(regions, image.size)))
        self._seen.update(region.class_id for region in regions)
        return [self._write()] if len(self._cells) == PER_SHEET else []

    def finish(self) -> list[Path]:
        """Write the last sheet and return its path; raises `OSError`."""
        return [self._write()] if self._cells else []

    def _cell(self, image: LabelledImage, labels: np.ndarray) -> Image.Image:
        scale = min(_WIDTH / labels.shape[1], _HEIGHT / labels.shape[0])
        height, width = (max(1, round(side * scale)) for side in labels.shape)
        pixels = read_reduced(image.file, (height, width), self._max_megapixels)
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        photo = cv2.resize(pixels.permute(1, 2, 0).numpy(), (width, height), interpolation=shrinks)
        shown = fit_labels(labels, (height, width)).astype(np.int64) - 1  # −1: no class, no colour
        colours = self._palette[1:]
        drawn = outline(overlay(photo, shown, colours, 0.45), shown, colours, 1)
        cell = Image.new("RGB", (_WIDTH, _HEIGHT + _LINE), _PAPER)
        cell.paste(Image.fromarray(drawn), ((_WIDTH - width) // 2, (_HEIGHT - height) // 2))
        _write_text(cell, (0, _HEIGHT + 3), image.file_name, _WIDTH)
        return cell

    def _write(self) -> Path:
        """The sheet of the images that were added since the last."""
        self._number += 1
        name = "overview.png" if self._number == 1 else f"overview_{self._number}.png"
        with whole_file(self._folder / name) as temporary:
            _sheet(self._cells, self._legend()).save(temporary, format="PNG", optimize=True)
        self._cells, self._seen = [], set()
        return self._folder / name

    def _legend(self) -> list[tuple[str, tuple[int, ...]]]:
        return [(self._names[i], tuple(self._palette[i].tolist())) for i in sorted(self._seen)]


def _sheet(
    cells: Sequence[Image.Image], legend: Sequence[tuple[str, tuple[int, ...]]]
) -> Image.Image:
    """Images in rows, and the legend below them."""
    columns = min(_COLUMNS, len(cells))
    rows = math.ceil(len(cells) / columns)
    width = columns * (_WIDTH + _GAP) + _GAP
    beside = max(1, (width - 2 * _GAP) // _ENTRY)
    top = _GAP + rows * (_HEIGHT + _LINE + _GAP)
    height = top + math.ceil(len(legend) / beside) * _LINE + _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        x, y = _GAP + column * (_WIDTH + _GAP), _GAP + row * (_HEIGHT + _LINE + _GAP)
        sheet.paste(cell, (x, y))
    pen = ImageDraw.Draw(sheet)
    for place, (name, colour) in enumerate(legend):
        row, column = divmod(place, beside)
        x, y = _GAP + column * _ENTRY, top + row * _LINE
        pen.rectangle((x, y + 2, x + _SWATCH, y + 2 + _SWATCH), fill=colour)
        _write_text(sheet, (x + _SWATCH + 6, y), name, _ENTRY - _SWATCH - 12)
    return sheet


def _write_text(picture: Image.Image, place: tuple[int, int], text: str, width: int) -> None:
    """One line, cut at the end where it is wider than `width` pixels."""
    font = ImageFont.load_default(14)
    shown = "".join(sign if sign.isprintable() else "?" for sign in text)
    shown = shown.encode("utf-8", "replace").decode("utf-8")
    while len(shown) > 1 and font.getlength(shown) > width:
        shown = f"{shown[:-2]}…" if shown.endswith("…") else f"{shown[:-1]}…"
    ImageDraw.Draw(picture).text(place, shown, fill=_INK, font=font)
