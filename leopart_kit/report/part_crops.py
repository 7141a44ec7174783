"""Crops around patches, and the photographs they are from, as the naming page embeds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from leopart_kit.report.pictures import bytes_text, webp_uri

_CROP_SIDE = 96  # pixels; 300 parts with 12 crops each make a page of less than 10 MB
_FADED = 150  # grey level that stands out against neither a light nor a dark page
_LARGE, _SMALL = 640, 320  # pixels of a photograph's longer side, with few of them and with many
_MANY = 100  # photographs up to which all are large
_MAX_TEXT = 6_000_000  # characters of all photographs together


@dataclass(frozen=True)
class Crop:
    """A patch with its surroundings: a picture of it, and where it is.

    Attributes:
        uri: data URI of the picture.
        name, image: name and index of the image.
        row, column: place of the patch in the image's map of patches.
    """

    uri: str
    name: str
    image: int
    row: int
    column: int

    @classmethod
    def of(cls, picture: np.ndarray, name: str, image: int, row: int, column: int) -> Crop:
        """A crop with its picture, uint8 RGB `[h, w, 3]` (see `part_crop`), as a small square."""
        return cls(webp_uri(picture, (_CROP_SIDE, _CROP_SIDE)), name, image, row, column)


@dataclass(frozen=True, eq=False)
class PartPhoto:
    """A whole photograph of the page: its data URI and the part of each patch, int `[h, w]`."""

    name: str
    uri: str
    size: tuple[int, int]
    labels: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, labels: np.ndarray, name: str, num_photos: int) -> PartPhoto:
        """A photograph, uint8 RGB `[H, W, 3]`, the smaller the more there are on the page."""
        height, width = image.shape[:2]
        side = np.clip(_LARGE * (_MANY / max(num_photos, 1)) ** 0.5, _SMALL, _LARGE)
        scale = min(1.0, float(side) / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(name, webp_uri(image, size), size, labels)

    def facts(self) -> dict[str, Any]:
        """Content for the page's script; patches of no part are 65,535."""
        labels = np.where(self.labels < 0, 0xFFFF, self.labels).astype("<u2")
        return {
            "name": self.name,
            "uri": self.uri,
            "size": self.size,
            "grid": self.labels.shape,
            "labels": bytes_text(labels),
        }


def fitting_photos(photos: Iterable[tuple[int, PartPhoto]]) -> dict[int, PartPhoto]:
    """The first photographs that a page can hold, by the index of their image."""
    kept: dict[int, PartPhoto] = {}
    room = _MAX_TEXT
    for image, photo in photos:
        room -= len(photo.uri) + 3 * photo.labels.size
        if room < 0:
            break
        kept[image] = photo
    return kept


def part_crop(
    image: np.ndarray, labels: np.ndarray, row: int, column: int, context: int = 3
) -> np.ndarray:
    """The image around a patch, with everything that is not of its cluster faded.

    Args:
        image: uint8 RGB `[H, W, 3]`.
        labels: integers `[h, w]`, the cluster of each patch.
        row, column: the patch.
        context: how many patches to show on each side of it.

    Returns:
        uint8 RGB `[n, m, 3]`, up to 2 · context + 1 patches a side; moved inwards at the border
        of the image.
    """
    spans = [
        _span(place, context, patches, pixels)
        for place, patches, pixels in zip((row, column), labels.shape, image.shape, strict=False)
    ]
    rows, columns = (np.arange(*span) for span in spans)
    patch_rows = rows * labels.shape[0] // image.shape[0]
    patch_columns = columns * labels.shape[1] // image.shape[1]
    own = labels[patch_rows[:, None], patch_columns] == labels[row, column]
    crop = image[rows[:, None], columns]
    faded = 0.3 * crop.mean(axis=-1, keepdims=True) + 0.7 * _FADED
    return np.where(own[..., None], crop, faded).astype(np.uint8)


def _span(place: int, context: int, patches: int, pixels: int) -> tuple[int, int]:
    """First and last pixel + 1 of the window along one side of the image."""
    size = min(2 * context + 1, patches)
    first = min(max(place - context, 0), patches - size)
    start, stop = first * pixels // patches, (first + size) * pixels // patches
    return start, max(stop, start + 1)
