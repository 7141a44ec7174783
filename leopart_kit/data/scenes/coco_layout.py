"""Scenes written in the layout of COCO with the stuff, panoptic and stuffthingmaps annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from leopart_kit.data.coco_encoding import ENCODINGS, ZERO_BASED
from leopart_kit.data.coco_labels import MERGED_STUFF, OTHER, STUFF, THINGS, categories
from leopart_kit.data.image_files import read_panoptic_ids
from leopart_kit.data.label_sets import IGNORE_INDEX
from leopart_kit.data.scenes.files import (
    FIRST_SCENE,
    claim,
    jpeg,
    png,
    write_missing,
    write_text,
)
from leopart_kit.data.scenes.generator import SceneGenerator
from leopart_kit.data.scenes.objects import OBJECT_NAMES
from leopart_kit.data.scenes.places import SURFACE_NAMES
from leopart_kit.data.scenes.render import Scene
from leopart_kit.progress import Track, quiet

COCO_OBJECTS = {
    "person": "person",
    "dog": "dog",
    "bird": "bird",
    "fish": None,  # COCO has no fish: unlabelled, as such things are in COCO
    "car": "car",
    "boat": "boat",
    "plant": "potted plant",
    "chair": "chair",
}
COCO_SURFACES = {
    "sky": ("sky-other", "sky-other-merged"),
    "hills": ("mountain", "mountain-merged"),
    "grass": ("grass", "grass-merged"),
    "sand": ("sand", "sand"),
    "road": ("road", "road"),
    "pavement": ("pavement", "pavement-merged"),
    "sea": ("sea", "sea"),
    "deep water": ("water-other", "water-other"),
    "brick wall": ("wall-brick", "wall-brick"),
    "papered wall": ("wall-other", "wall-other-merged"),
    "wooden floor": ("floor-wood", "floor-wood"),
    "tiled floor": ("floor-tile", "floor-other-merged"),
}
"""COCO-Stuff and COCO panoptic names of each surface."""

PANOPTIC_STUFF = {
    92, 93, 95, 100, 107, 109, 112, 118, 119, 122, 125, 128, 130, 133, 138, 141, 144, 145, 147,
    148, 149, 151, 154, 155, 156, 159, 161, 166, 168, 171, 175, 176, 177, 178, 180, 181,
}  # fmt: skip
"""Stuff that COCO panoptic keeps as it is; the rest is merged into ids 184 to 200."""

ANNOTATIONS = ("stuffthingmaps", "pixelmaps", "panoptic")
PIXELMAP_THINGS = 183
STUFF_FOLDER = "annotations/annotations/stuff_annotations"
PANOPTIC_FOLDER = "annotations/panoptic_annotations"
MASK_FOLDERS = {
    "stuffthingmaps": ("stuffthingmaps/{year}",),
    "pixelmaps": (f"{STUFF_FOLDER}/stuff_{{year}}_pixelmaps",),
    "panoptic": (
        f"{PANOPTIC_FOLDER}/semantic_segmentation_{{year}}",
        f"{PANOPTIC_FOLDER}/panoptic_{{year}}",
    ),
}
_SEGMENTS_PER_CATEGORY = 1000


def write_coco_stuff(
    root: str | os.PathLike[str],
    generator: SceneGenerator,
    splits: Mapping[str, int],
    annotations: tuple[str, ...] = ANNOTATIONS,
    encoding: str = ZERO_BASED,
    track: Track = quiet,
) -> None:
    """Write scenes as in COCO 2017, with COCO's own ids for objects (things) and surfaces (stuff).

    Images in `coco/images/<split>2017/`. `annotations` chooses among

    - `stuffthingmaps`: `stuffthingmaps/<split>2017/`, in the `encoding` `0-181` (255 unlabelled)
      or `1-182` (0 unlabelled);
    - `pixelmaps`: 92 to 182, 183 for things, 0 unlabelled, and `stuff_<split>2017.json`
      (categories and images, no run-length masks);
    - `panoptic`: semantic PNGs, segment PNGs and `panoptic_<split>2017.json`.

    Fish are unlabelled. `splits` and errors as `write_voc`; `ValueError` for an unknown annotation
    or encoding.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is unknown; use {' or '.join(ENCODINGS)}")
    unknown = [name for name in annotations if name not in ANNOTATIONS]
    if unknown or not annotations:
        raise ValueError(f"annotations {annotations}: choose among {', '.join(ANNOTATIONS)}")
    root = Path(root)
    chosen = [name for name in ANNOTATIONS if name in annotations]
    claim(root, "coco", generator, splits, annotations=chosen, encoding=encoding)

    def encode(scene: Scene) -> tuple[bytes, ...]:
        masks = [mask for name in chosen for mask in _masks(scene, name, encoding)]
        return (jpeg(scene.image), *(png(mask) for mask in masks))

    for split, count in splits.items():
        year = f"{split}2017"
        folders = [d.format(year=year) for name in chosen for d in MASK_FOLDERS[name]]

        def paths_of(name: str, year: str = year, folders: list[str] = folders) -> tuple[str, ...]:
            return (f"coco/images/{year}/{name}.jpg", *(f"{d}/{name}.png" for d in folders))

        first = FIRST_SCENE[split]
        names = {f"{first + i + 1:012d}": first + i for i in range(count)}
        write_missing(root, generator, names, paths_of, encode, f"draw {split} scenes", track)
        if "pixelmaps" in chosen:
            _write_json(root / STUFF_FOLDER / f"stuff_{year}.json", _stuff_json(names, generator))
        if "panoptic" in chosen:
            folder = root / PANOPTIC_FOLDER
            content = _panoptic_json(folder / f"panoptic_{year}", names, generator)
            _write_json(folder / f"panoptic_{year}.json", content)


def coco_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """COCO ids (0 for none) of objects `[256]`, of surfaces, and of surfaces in panoptic."""
    ids = {name: i for i, (name, _) in categories(THINGS, STUFF, MERGED_STUFF).items()}
    objects = np.zeros(256, np.int64)
    for index, name in enumerate(OBJECT_NAMES[1:], start=1):
        objects[index] = ids.get(COCO_OBJECTS[name] or "", 0)
    stuff, merged = ([ids[COCO_SURFACES[n][k]] for n in SURFACE_NAMES] for k in (0, 1))
    return objects, np.array(stuff), np.array(merged)


def _masks(scene: Scene, annotation: str, encoding: str) -> list[np.ndarray]:
    """The mask images of one kind of annotation."""
    objects, stuff, merged = coco_tables()
    thing, ground = objects[scene.objects], scene.objects == 0
    if annotation == "panoptic":
        semantic = np.where(ground, merged[scene.surfaces], thing)
        segments = semantic * _SEGMENTS_PER_CATEGORY + np.where(ground, 0, scene.instances)
        segments[semantic == 0] = 0
        channels = [segments & 255, segments >> 8 & 255, segments >> 16]
        return [semantic.astype(np.uint8), np.stack(channels, axis=-1).astype(np.uint8)]
    if annotation == "pixelmaps":
        thing = np.where(thing > 0, PIXELMAP_THINGS, 0)
    ids = np.where(ground, stuff[scene.surfaces], thing)
    if annotation == "stuffthingmaps" and encoding == ZERO_BASED:
        ids = np.where(ids > 0, ids - 1, IGNORE_INDEX)
    return [ids.astype(np.uint8)]


def _images(names: Mapping[str, int], generator: SceneGenerator) -> list[dict[str, object]]:
    height, width = generator.image_size
    return [
        {"id": int(name), "file_name": f"{name}.jpg", "height": height, "width": width}
        for name in names
    ]


def _stuff_json(names: Mapping[str, int], generator: SceneGenerator) -> dict[str, object]:
    rows = [
        {"id": i, "name": name, "supercategory": supercategory}
        for i, (name, supercategory) in categories(STUFF, OTHER).items()
    ]
    return {"categories": rows, "images": _images(names, generator), "annotations": []}


def _panoptic_json(
    folder: Path, names: Mapping[str, int], generator: SceneGenerator
) -> dict[str, object]:
    """Read from the segment PNGs, so that it is complete after a broken-off run."""
    things, merged = categories(THINGS), categories(MERGED_STUFF)
    rows = [
        {"id": i, "name": name, "supercategory": supercategory, "isthing": int(i in things)}
        for i, (name, supercategory) in categories(THINGS, STUFF, MERGED_STUFF).items()
        if i in things or i in PANOPTIC_STUFF or i in merged
    ]
    annotations = [
        {
            "image_id": int(name),
            "file_name": f"{name}.png",
            "segments_info": _segments(read_panoptic_ids(folder / f"{name}.png")),
        }
        for name in names
    ]
    return {"categories": rows, "images": _images(names, generator), "annotations": annotations}


def _segments(ids: np.ndarray) -> list[dict[str, object]]:
    segments = []
    for segment in np.unique(ids[ids > 0]).tolist():
        rows, columns = np.nonzero(ids == segment)
        left, top = int(columns.min()), int(rows.min())
        size = (int(columns.max()) - left + 1, int(rows.max()) - top + 1)
        segments.append(
            {
                "id": segment,
                "category_id": segment // _SEGMENTS_PER_CATEGORY,
                "iscrowd": 0,
                "bbox": [left, top, *size],
                "area": len(rows),
            }
        )
    return segments


def _write_json(file: Path, content: object) -> None:
    write_text(file, json.dumps(content))
