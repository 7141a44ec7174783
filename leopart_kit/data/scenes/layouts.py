"""Scenes written in the layouts of Pascal VOC and Cityscapes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from leopart_kit.data.cityscapes import FIRST_ID, LABELS
from leopart_kit.data.label_sets import IGNORE_INDEX
from leopart_kit.data.palettes import voc_colormap
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


def write_voc(
    root: str | os.PathLike[str],
    generator: SceneGenerator,
    splits: Mapping[str, int],
    track: Track = quiet,
) -> None:
    """Write scenes as in Pascal VOC: indexed masks, lists of names, JPEG images.

    `JPEGImages/`, `SegmentationClass/` (objects), `SegmentationPart/` (parts), and
    `ImageSets/Segmentation/<split>.txt`, which is written last. `splits` gives the number of
    images of `train` and `val`. Scenes that are already there are kept.

    Raises:
        ValueError: the folder holds something else, or scenes of other settings.
    """
    root = Path(root)
    claim(root, "voc", generator, splits)
    palette = voc_colormap()

    def paths_of(name: str) -> tuple[str, ...]:
        masks = (f"{folder}/{name}.png" for folder in ("SegmentationClass", "SegmentationPart"))
        return (f"JPEGImages/{name}.jpg", *masks)

    def encode(scene: Scene) -> tuple[bytes, ...]:
        return jpeg(scene.image), png(scene.objects, palette), png(scene.parts, palette)

    for split, count in splits.items():
        names = {f"{split}_{i:06d}": FIRST_SCENE[split] + i for i in range(count)}
        write_missing(root, generator, names, paths_of, encode, f"draw {split} scenes", track)
        content = "".join(f"{name}\n" for name in names)
        write_text(root / "ImageSets" / "Segmentation" / f"{split}.txt", content)


CITYSCAPES_OBJECTS = {
    "person": "person",
    "car": "car",
    "plant": "vegetation",
    # Cityscapes labels whatever can move away, animals and furniture included, as void.
    "dog": "dynamic",
    "bird": "dynamic",
    "fish": "dynamic",
    "boat": "dynamic",
    "chair": "dynamic",
}
CITYSCAPES_SURFACES = {
    "sky": "sky",
    "hills": "vegetation",
    "grass": "terrain",
    "sand": "terrain",
    "road": "road",
    "pavement": "sidewalk",
    "sea": "ground",
    "deep water": "static",
    "brick wall": "building",
    "papered wall": "wall",
    "wooden floor": "ground",
    "tiled floor": "parking",
}
CITYSCAPES_VOID = {"unlabeled": 0, "static": 4, "dynamic": 5, "ground": 6}


def write_cityscapes(
    root: str | os.PathLike[str],
    generator: SceneGenerator,
    splits: Mapping[str, int],
    track: Track = quiet,
) -> None:
    """Write scenes as in Cityscapes: PNG images and fine annotations of one city, `procedural`.

    `leftImg8bit/<split>/procedural/*_leftImg8bit.png` and in `gtFine/` the masks
    `*_gtFine_labelIds.png` and `*_gtFine_labelTrainIds.png`. `splits` and errors as `write_voc`.
    """
    root = Path(root)
    claim(root, "cityscapes", generator, splits)
    objects, surfaces = cityscapes_tables()
    train_ids = np.full(256, IGNORE_INDEX, np.uint8)
    train_ids[FIRST_ID : FIRST_ID + len(LABELS)] = [label.train_id for label in LABELS]

    def encode(scene: Scene) -> tuple[bytes, ...]:
        ids = np.where(scene.objects > 0, objects[scene.objects], surfaces[scene.surfaces])
        return png(scene.image), png(ids), png(train_ids[ids])

    for split, count in splits.items():

        def paths_of(name: str, split: str = split) -> tuple[str, ...]:
            masks = (
                f"gtFine/{split}/procedural/{name}_gtFine_{kind}.png"
                for kind in ("labelIds", "labelTrainIds")
            )
            return (f"leftImg8bit/{split}/procedural/{name}_leftImg8bit.png", *masks)

        names = {f"procedural_{i:06d}_000019": FIRST_SCENE[split] + i for i in range(count)}
        write_missing(root, generator, names, paths_of, encode, f"draw {split} scenes", track)


def cityscapes_tables() -> tuple[np.ndarray, np.ndarray]:
    """Label ids uint8 of object classes `[256]` (255 → unlabelled) and of surfaces."""
    ids = {label.name: FIRST_ID + i for i, label in enumerate(LABELS)} | CITYSCAPES_VOID
    objects = np.zeros(256, np.uint8)
    objects[1 : len(OBJECT_NAMES)] = [ids[CITYSCAPES_OBJECTS[name]] for name in OBJECT_NAMES[1:]]
    return objects, np.array([ids[CITYSCAPES_SURFACES[n]] for n in SURFACE_NAMES], np.uint8)
