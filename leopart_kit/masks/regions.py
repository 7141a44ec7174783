"""The regions of a label map: connected components, or all pixels of a class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage

from leopart_kit.masks.polygons import trace_polygons
from leopart_kit.masks.small_regions import absorbed

Instances = Literal["components", "whole"]


@dataclass(frozen=True, eq=False)
class Region:
    """One region of an image: a mask uint8 `[h, w]` whose first pixel lies at (`x`, `y`)."""

    class_id: int
    x: int
    y: int
    area: int
    mask: np.ndarray

    @property
    def origin(self) -> np.ndarray:
        """`[x, y]` of the first pixel of the mask."""
        return np.array([self.x, self.y])

    @property
    def box(self) -> list[int]:
        """`[x, y, width, height]` in pixels."""
        return [self.x, self.y, self.mask.shape[1], self.mask.shape[0]]

    def polygons(self, tolerance: float = 0) -> list[np.ndarray]:
        """Its outlines in pixels of the image, see `trace_polygons`."""
        return [ring + self.origin for ring in trace_polygons(self.mask, tolerance)]

    def paint(self, canvas: np.ndarray, value: int) -> None:
        """Set the region's pixels of an image `[H, W]` to a value."""
        height, width = self.mask.shape
        window = canvas[self.y : self.y + height, self.x : self.x + width]
        window[self.mask.astype(bool)] = value


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image and the class of every pixel.

    Attributes:
        name: unique, may hold sub-folders; names the files written for it.
        file: the image file.
        file_name: the image file's path below the folder of images.
        labels: integers `[H, W]`, class ids, 0 for none; upright, as viewers show the image.
    """

    name: str
    file: Path
    file_name: str
    labels: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)`."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def folder(self) -> Path:
        """The folder of images that `file_name` starts from."""
        return self.file.parents[len(Path(self.file_name).parts) - 1]


def find_regions(labels: np.ndarray, instances: Instances, min_area: int = 0) -> list[Region]:
    """The regions of a label map by rising class id, components in the order of their first pixel.

    Args:
        labels: integers `[H, W]`, 0 for no class.
        instances: `components` (8-connected), or `whole`: all pixels of a class.
        min_area: regions of fewer pixels go to their largest neighbour, see `absorbed`.
    """
    regions = _split(labels, instances)
    if all(region.area >= min_area for region in regions):
        return regions
    parts = _split(labels, "components")
    ids = np.zeros(labels.shape, dtype=np.int32)
    for number, part in enumerate(parts, start=1):
        part.paint(ids, number)
    classes = np.array([0, *(part.class_id for part in parts)])
    groups = range(len(classes)) if instances == "components" else classes.tolist()
    ends = absorbed(ids, [0, *(part.area for part in parts)], groups, min_area)
    return _split(classes[ends][ids], instances)


def _split(labels: np.ndarray, instances: Instances) -> list[Region]:
    """The regions of a label map, however small."""
    # 32 bits are what SciPy's search and OpenCV handle without a copy.
    labels = labels.astype(np.int32)
    regions = []
    for class_id, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        mask = (labels[window] == class_id).astype(np.uint8)
        whole = Region(class_id, window[1].start, window[0].start, int(mask.sum()), mask)
        regions += [whole] if instances == "whole" else _components(whole)
    return regions


def _components(whole: Region) -> list[Region]:
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(whole.mask, connectivity=8)
    regions = []
    for part in range(1, count):
        x, y, width, height, area = statistics[part].tolist()
        mask = (parts[y : y + height, x : x + width] == part).astype(np.uint8)
        regions.append(Region(whole.class_id, whole.x + x, whole.y + y, area, mask))
    return regions


def draw(regions: Iterable[Region], size: tuple[int, int]) -> np.ndarray:
    """The label map of some regions: class ids int32 `[H, W]`, 0 elsewhere."""
    labels = np.zeros(size, dtype=np.int32)
    for region in regions:
        region.paint(labels, region.class_id)
    return labels
