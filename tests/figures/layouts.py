"""The toolkit's procedural scenes, copied into the layouts of the other data sets.

Only files are read and written: `VOC2012/` is what the first command left, and everything is made
from it without the package, so that no change inside it is hidden here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ("train", "val")
NAMES = ("background", "person", "dog", "bird", "fish", "car", "boat", "plant", "chair")
"""Classes of the scenes' masks, in the order of their ids."""

UP, DOWN = -1, -2
"""Keys of the two halves of an image's background: sky above, ground below."""

CAMVID = {UP: 0, DOWN: 3, 1: 9, 2: 10, 3: 6, 4: 11, 5: 8, 6: 1, 7: 5, 8: 2}
ADE20K = {UP: 3, DOWN: 10, 1: 13, 2: 127, 3: 127, 4: 0, 5: 21, 6: 77, 7: 18, 8: 20}
CITYSCAPES = {UP: 23, DOWN: 7, 1: 24, 2: 5, 3: 5, 4: 5, 5: 26, 6: 5, 7: 21, 8: 5}
COCO = {UP: 156, DOWN: 123, 1: 0, 2: 17, 3: 15, 4: 255, 5: 2, 6: 8, 7: 63, 8: 61}
"""Ids as these data sets store them; fish are unlabelled or void."""

_CROP, _SMALLEST, _PER_CLASS = 32, 24, 8
_WNIDS = tuple(f"n{1440764 + index:08d}" for index in range(len(NAMES)))

Scene = tuple[str, str, Image.Image, np.ndarray]  # split, name, photo, class ids


def write_layouts(root: Path) -> None:
    """All other data sets below `root`, from `root/VOC2012`."""
    scenes = _scenes(root / "VOC2012")
    _write_dense(root, scenes)
    _write_folders(root, scenes)
    _write_classes(root, _crops(scenes))


def _scenes(voc: Path) -> list[Scene]:
    found = []
    for split in SPLITS:
        for name in (voc / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split():
            photo = Image.open(voc / "JPEGImages" / f"{name}.jpg").convert("RGB")
            ids = np.asarray(Image.open(voc / "SegmentationClass" / f"{name}.png"))
            found.append((split, name, photo, ids))
    return found


def _write_dense(root: Path, scenes: list[Scene]) -> None:
    long_names = {"train": "training", "val": "validation"}
    for number, (split, name, photo, ids) in enumerate(scenes):
        _save(photo, root / "camvid" / split / f"{name}.png")
        _save(_stored(ids, CAMVID), root / "camvid" / f"{split}annot" / f"{name}.png")
        long_name = long_names[split]
        _save(photo, root / "ade20k" / "images" / long_name / f"{name}.jpg")
        _save(_stored(ids, ADE20K), root / "ade20k" / "annotations" / long_name / f"{name}.png")
        town = f"town_{number:06d}_000019"
        _save(photo, root / f"cityscapes/leftImg8bit/{split}/town/{town}_leftImg8bit.png")
        masks = root / f"cityscapes/gtFine/{split}/town"
        _save(_stored(ids, CITYSCAPES), masks / f"{town}_gtFine_labelIds.png")
        _save(photo, root / f"coco/images/{split}2017/{number:012d}.jpg")
        _save(_stored(ids, COCO), root / f"coco/stuffthingmaps/{split}2017/{number:012d}.png")


def _write_folders(root: Path, scenes: list[Scene]) -> None:
    """`labelled/` with masks; `photos/` without any, one of them in a sub-folder; captions."""
    rows = ["image,caption"]
    for split, name, photo, ids in scenes:
        if split == "val":
            _save(photo, root / "labelled" / "images" / f"{name}.png")
            _save(Image.fromarray(ids), root / "labelled" / "masks" / f"{name}.png")
            continue
        place = f"{name}.png" if len(rows) > 1 else f"more/{name}.png"
        _save(photo, root / "photos" / place)
        things = " and a ".join(NAMES[index] for index in np.unique(ids) if index)
        rows.append(f"{place},a {things}")
    (root / "labelled" / "classes.txt").write_text("\n".join(NAMES) + "\n")
    (root / "captions.csv").write_text("\n".join(rows) + "\n")


def _crops(scenes: list[Scene]) -> list[tuple[str, int, Image.Image]]:
    """Split, class and picture of things in the scenes, a few of each class."""
    counts: Counter[tuple[str, int]] = Counter()
    found = []
    for split, _, photo, ids in scenes:
        for index in range(1, len(NAMES)):
            rows, columns = np.nonzero(ids == index)
            if len(rows) < _SMALLEST or counts[split, index] == _PER_CLASS:
                continue
            counts[split, index] += 1
            middle = int(np.median(columns)), int(np.median(rows))
            left, top = (
                min(max(0, centre - _CROP // 2), side - _CROP)
                for centre, side in zip(middle, photo.size, strict=True)
            )
            found.append((split, index, photo.crop((left, top, left + _CROP, top + _CROP))))
    both = [c for c in range(len(NAMES)) if all(counts[split, c] >= 3 for split in SPLITS)]
    return [crop for crop in found if crop[1] in both]


def _write_classes(root: Path, crops: list[tuple[str, int, Image.Image]]) -> None:
    """The pictures in folders of classes, as ImageNet, and those of train as PASS."""
    used = sorted({index for _, index, _ in crops})
    for number, (split, index, picture) in enumerate(crops):
        folder = "test" if split == "val" else "train"
        _save(picture, root / "classes" / folder / NAMES[index] / f"{number:03d}.png")
        wnid = _WNIDS[used.index(index)]
        _save(picture, root / "imagenet" / split / wnid / f"{wnid}_{number}.JPEG")
        if split == "train":
            _save(picture, root / "PASS_dataset" / str(number % 3) / f"{number:03d}.jpg")


def _stored(ids: np.ndarray, table: Mapping[int, int]) -> Image.Image:
    """The mask with another data set's ids."""
    background = np.full(ids.shape, table[DOWN], np.uint8)
    background[: len(ids) // 2] = table[UP]
    of_thing = np.array([0, *(table[index] for index in range(1, len(NAMES)))], np.uint8)
    return Image.fromarray(np.where(ids == 0, background, of_thing[ids]))


def _save(picture: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".png":
        picture.save(file)
    else:
        picture.save(file, "JPEG", quality=95)
