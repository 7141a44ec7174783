"""COCO panoptic format: a PNG of segment ids for each image, and one JSON that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from leopart_kit.masks.coco_file import CocoFile
from leopart_kit.masks.coco_instances import image_record
from leopart_kit.masks.indexed_png import save_png
from leopart_kit.masks.part_classes import MaskClass
from leopart_kit.masks.regions import LabelledImage, Region


class CocoPanoptic:
    """Writes `folder/<name>.png`, and `folder.json` beside the folder.

    A segment's id is R + 256 G + 256² B of its pixels: the colour of its class, or the next free
    one after it for further segments of the class; 0 is no segment. Classes are things if regions
    are components (`things`), else stuff.
    """

    def __init__(
        self, folder: Path, classes: Sequence[MaskClass], scratch: Path, things: bool
    ) -> None:
        self._folder = folder
        categories = [
            {
                "id": item.id,
                "name": item.name,
                "supercategory": "part",
                "isthing": int(things),
                "color": list(item.colour),
            }
            for item in classes
        ]
        self._file = CocoFile(folder.with_suffix(".json"), categories, scratch)
        self._first_ids = {item.id: int(np.dot(item.colour, (1, 256, 65536))) for item in classes}
        self._num_images = 0

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Write an image's PNG, return its path and add its segments; raises `OSError`."""
        self._num_images += 1
        ids = np.zeros(image.size, dtype=np.uint32)
        used: set[int] = set()
        next_ids = dict(self._first_ids)
        segments = []
        for region in regions:
            segment = _next_free(next_ids[region.class_id], used)
            next_ids[region.class_id] = segment + 1
            region.paint(ids, segment)
            segments.append(
                {
                    "id": segment,
                    "category_id": region.class_id,
                    "area": region.area,
                    "bbox": region.box,
                    "iscrowd": 0,
                }
            )
        path = self._folder / f"{image.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, Image.fromarray(_rgb(ids)))
        annotation = {
            "image_id": self._num_images,
            "file_name": path.relative_to(self._folder).as_posix(),
            "segments_info": segments,
        }
        self._file.add(image_record(self._num_images, image), [annotation])
        return [path]

    def finish(self) -> list[Path]:
        """Write the JSON and return its path; raises `OSError`."""
        return [self._file.finish()]


def _next_free(segment: int, used: set[int]) -> int:
    """`segment`, or the first id after it that is not used; marks it as used."""
    while (segment := segment % (1 << 24)) in used or segment == 0:
        segment += 1
    used.add(segment)
    return segment


def _rgb(ids: np.ndarray) -> np.ndarray:
    """Ids below 256³ `[H, W]` as colours uint8 `[H, W, 3]`, red lowest."""
    return np.ascontiguousarray(ids.astype("<u4").view(np.uint8).reshape(*ids.shape, 4)[..., :3])
