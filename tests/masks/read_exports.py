"""Read every exported format back the way its own tools read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import yaml
from PIL import Image
from pycocotools.coco import COCO

from leopart_kit.masks import ClassTable

Masks = dict[tuple[str, int], np.ndarray]
"""The pixels of each class that an image shows, by image name and class id."""

Pixels = Callable[[np.ndarray], np.ndarray]
"""How a reader makes pixels of coordinates: by rounding, or by cutting."""


def masks_of(maps: dict[str, np.ndarray]) -> Masks:
    return {
        (name, int(class_id)): labels == class_id
        for name, labels in maps.items()
        for class_id in np.unique(labels)
        if class_id
    }


def worst_overlap(found: Masks, expected: Masks) -> float:
    assert set(found) == set(expected), "classes were lost or made up"
    return min(
        (np.sum(found[key] & mask) / np.sum(found[key] | mask) for key, mask in expected.items()),
        default=1.0,
    )


def read_png(out: Path) -> Masks:
    maps = {}
    for path in sorted((out / "masks").rglob("*.png")):
        with Image.open(path) as image:
            assert image.mode == "P"
            maps[path.relative_to(out / "masks").with_suffix("").as_posix()] = np.array(image)
    return masks_of(maps)


def read_coco(path: Path) -> Masks:
    """With pycocotools; also checks what else an annotation says."""
    coco = COCO(str(path))
    found: Masks = {}
    for annotation in coco.loadAnns(coco.getAnnIds()):
        image = coco.loadImgs(annotation["image_id"])[0]
        mask = coco.annToMask(annotation).astype(bool)
        assert mask.shape == (image["height"], image["width"])
        assert annotation["area"] == mask.sum()
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y, width, height = annotation["bbox"]
        assert (x, x + width) == (columns[0], columns[-1] + 1)
        assert (y, y + height) == (rows[0], rows[-1] + 1)
        assert annotation["iscrowd"] == 0
        key = image["file_name"].removesuffix(".jpg"), annotation["category_id"]
        assert not (found.get(key, False) & mask).any(), "regions must not overlap"
        found[key] = found.get(key, False) | mask
    return found


def read_panoptic(out: Path) -> Masks:
    """By the rules of the format: every segment is in the PNG and in the JSON, with equal area."""
    content = json.loads((out / "coco" / "panoptic.json").read_text("utf-8"))
    images = {image["id"]: image for image in content["images"]}
    categories = {category["id"]: category for category in content["categories"]}
    assert len(categories) == len(content["categories"])
    for category in content["categories"]:
        assert set(category) == {"id", "name", "supercategory", "isthing", "color"}
        assert category["isthing"] in (0, 1)
    assert sorted(a["image_id"] for a in content["annotations"]) == sorted(images)
    found: Masks = {}
    for annotation in content["annotations"]:
        image = images[annotation["image_id"]]
        with Image.open(out / "coco" / "panoptic" / annotation["file_name"]) as file:
            assert file.mode == "RGB"
            assert file.size == (image["width"], image["height"])
            ids = np.asarray(file).astype(np.int64) @ [1, 256, 256**2]
        listed = [segment["id"] for segment in annotation["segments_info"]]
        assert len(set(listed)) == len(listed)
        assert set(listed) == set(np.unique(ids).tolist()) - {0}
        for segment in annotation["segments_info"]:
            mask = ids == segment["id"]
            assert segment["area"] == mask.sum()
            assert segment["category_id"] in categories
            assert segment["iscrowd"] == 0
            key = image["file_name"].removesuffix(".jpg"), segment["category_id"]
            found[key] = found.get(key, False) | mask
    return found


LABELME_FIELDS = {
    "version": str,
    "flags": dict,
    "shapes": list,
    "imagePath": str,
    "imageData": type(None),
    "imageHeight": int,
    "imageWidth": int,
}
LABELME_SHAPE_FIELDS = {
    "label": str,
    "points": list,
    "group_id": (int, type(None)),
    "shape_type": str,
    "flags": dict,
}


def read_labelme(out: Path, table: ClassTable, pixels: Pixels = np.rint) -> Masks:
    """Checks each field of labelme 5; points become pixels by rounding or cutting."""
    ids = {item.name: item.id for item in table.classes}
    found: Masks = {}
    for path in sorted((out / "labelme").rglob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        assert set(content) == set(LABELME_FIELDS)
        assert all(isinstance(content[name], kind) for name, kind in LABELME_FIELDS.items())
        assert content["version"].startswith("5.")
        name = path.relative_to(out / "labelme").with_suffix("").as_posix()
        assert (path.parent / content["imagePath"]).resolve() == (
            out.parent / "photos" / f"{name}.jpg"
        ).resolve()
        size = content["imageHeight"], content["imageWidth"]
        for shape in content["shapes"]:
            assert set(shape) == set(LABELME_SHAPE_FIELDS)
            assert all(isinstance(shape[key], kind) for key, kind in LABELME_SHAPE_FIELDS.items())
            assert shape["shape_type"] == "polygon"
            points = np.array(shape["points"])
            assert points.ndim == 2
            assert len(points) >= 3
            key = name, ids[shape["label"]]
            found[key] = found.get(key, False) | drawn(pixels(points), size)
    return found


def read_yolo(
    out: Path, table: ClassTable, sizes: Mapping[str, tuple[int, int]], pixels: Pixels = np.rint
) -> Masks:
    """Names from data.yaml, polygons drawn by OpenCV after rounding or cutting to pixels."""
    names = yaml.safe_load((out / "yolo" / "data.yaml").read_text("utf-8"))["names"]
    assert list(names) == list(range(len(names)))
    ids = {item.name: item.id for item in table.classes}
    found: Masks = {}
    for path in sorted((out / "yolo" / "labels").rglob("*.txt")):
        name = path.relative_to(out / "yolo" / "labels").with_suffix("").as_posix()
        height, width = sizes[name]
        for line in path.read_text().splitlines():
            number, *shares = line.split()
            points = np.array(shares, dtype=float).reshape(-1, 2)
            assert len(points) >= 3
            assert points.min() >= 0
            assert points.max() <= 1
            key = name, ids[names[int(number)]]
            polygon = drawn(pixels(points * (width, height)), sizes[name])
            found[key] = found.get(key, False) | polygon
    return found


def drawn(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return canvas.astype(bool)
