"""labelme JSON: one file an image, polygons that the tool opens for editing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from leopart_kit.masks.json_text import json_text
from leopart_kit.masks.part_classes import MaskClass
from leopart_kit.masks.regions import LabelledImage, Region
from leopart_kit.whole_file import whole_file

VERSION = "5.5.0"

# labelme and OpenCV's users cut or round coordinates to pixels: a quarter stays put under both.
PIXEL_OFFSET = 0.25


class LabelmeFolder:
    """Writes `folder/<name>.json` with the path to the image, relative to the file, inside.

    A region is a polygon; the polygons of a class with several components, where regions are
    whole classes, share a `group_id`. `tolerance` is that of `trace_polygons`.
    """

    def __init__(self, folder: Path, classes: Sequence[MaskClass], tolerance: float) -> None:
        self._folder = folder
        self._tolerance = tolerance
        self._names = {item.id: item.name for item in classes}

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Write the file of an image and return its path; raises `OSError`."""
        path = self._folder / f"{image.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = image.size
        shapes = []
        for number, region in enumerate(regions, start=1):
            rings = region.polygons(self._tolerance)
            shapes += [
                {
                    "label": self._names[region.class_id],
                    "points": (ring + PIXEL_OFFSET).tolist(),
                    "group_id": number if len(rings) > 1 else None,
                    "shape_type": "polygon",
                    "flags": {},
                }
                for ring in rings
            ]
        content = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": _relative(image.file, path.parent),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        with whole_file(path) as temporary:
            temporary.write_text(json_text(content) + "\n", "utf-8")
        return [path]

    def finish(self) -> list[Path]:
        """Nothing is left to do: every image has a file of its own."""
        return []


def _relative(file: Path, folder: Path) -> str:
    # Only folders are resolved: an image that is a link has the name the user knows it by.
    return Path(os.path.relpath(file.parent.resolve() / file.name, folder.resolve())).as_posix()
