"""COCO instances JSON: one annotation a region, as run lengths or as polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from leopart_kit.masks.coco_file import CocoFile
from leopart_kit.masks.part_classes import MaskClass
from leopart_kit.masks.polygons import trace_edges
from leopart_kit.masks.regions import LabelledImage, Region

Encode = Callable[[Region, tuple[int, int]], Any]


class CocoInstances:
    """Writes `path` with images, categories (the classes' ids) and annotations.

    `encode` makes the `segmentation` of a region: `run_lengths` or `edge_polygons`. Areas are
    pixels of the region, boxes `[x, y, width, height]`, `iscrowd` 0.
    """

    def __init__(
        self, path: Path, classes: Sequence[MaskClass], scratch: Path, encode: Encode
    ) -> None:
        categories = [
            {"id": item.id, "name": item.name, "supercategory": "part"} for item in classes
        ]
        self._file = CocoFile(path, categories, scratch)
        self._encode = encode
        self._num_images = self._num_annotations = 0

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Add an image and its regions; no file is of one image."""
        self._num_images += 1
        annotations = []
        for region in regions:
            self._num_annotations += 1
            annotations.append(
                {
                    "id": self._num_annotations,
                    "image_id": self._num_images,
                    "category_id": region.class_id,
                    "segmentation": self._encode(region, image.size),
                    "area": region.area,
                    "bbox": region.box,
                    "iscrowd": 0,
                }
            )
        self._file.add(image_record(self._num_images, image), annotations)
        return []

    def finish(self) -> list[Path]:
        """Write the file and return its path; raises `OSError`."""
        return [self._file.finish()]


def image_record(image_id: int, image: LabelledImage) -> dict[str, Any]:
    """The entry of an image in a COCO file."""
    height, width = image.size
    return {"id": image_id, "file_name": image.file_name, "width": width, "height": height}


def run_lengths(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's compressed run lengths, the counts as text, which JSON can hold.

    Only the region's own box is looked at, so that many small regions of a large image are cheap.
    """
    height, width = size
    columns, rows = np.nonzero(region.mask.T)
    pixels = (columns + region.x) * height + rows + region.y  # COCO counts down the columns
    gaps = np.flatnonzero(np.diff(pixels) > 1)
    begins = pixels[np.r_[0, gaps + 1]]
    ends = pixels[np.r_[gaps, -1]] + 1
    borders = np.stack([begins, ends], axis=1).ravel()
    counts = np.diff(borders, prepend=0, append=height * width)
    counts = counts[:-1] if counts[-1] == 0 else counts
    runs: Any = {"size": [height, width], "counts": counts}
    packed: Any = coco_mask.frPyObjects(runs, height, width)
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}


def edge_polygons(tolerance: float) -> Encode:
    """COCO's polygons, `[x1, y1, x2, y2, …]` in continuous coordinates; see `trace_edges`."""

    def encode(region: Region, size: tuple[int, int]) -> list[list[float]]:
        rings = trace_edges(region.mask, tolerance)
        return [(ring + region.origin).ravel().tolist() for ring in rings]

    return encode
