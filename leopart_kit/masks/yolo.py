"""YOLO segmentation labels: a line of text for each polygon, in shares of the image's sides."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from leopart_kit.masks.labelme import PIXEL_OFFSET
from leopart_kit.masks.part_classes import MaskClass
from leopart_kit.masks.regions import LabelledImage, Region
from leopart_kit.whole_file import whole_file, write_whole_text

logger = logging.getLogger(__name__)

Images = Literal["link", "copy"]

_READ_BY_TRAINERS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_IMAGES = re.compile(r"images_*")


class YoloFolder:
    """Writes `folder/labels/<name>.txt`, the images as `folder/images`, and `folder/data.yaml`.

    `images` is a real folder with a link to each image, or a copy of it: trainers follow a link
    that is a whole folder, and then look for the labels beside the photographs. An image and its
    labels have one name, see `yolo_name`.

    Classes are numbered from 0 in the order of their ids. A line is `class x1 y1 x2 y2 …`; a
    region of several components, where regions are whole classes, has a line for each. Paths are
    relative to `data.yaml`, so that the folder may be moved.

    Args:
        tolerance: of the polygons, see `trace_polygons`.
        val: share of the images that is kept for validation, drawn by their names and listed in
            `val.txt`; 0: training and validation both have all.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[MaskClass],
        images: Images,
        tolerance: float = 0,
        val: float = 0,
    ) -> None:
        self._folder = folder
        self._tolerance = tolerance
        self._val = val
        self._listed: list[str] = []
        self._names = [item.name for item in classes]
        self._numbers = {item.id: number for number, item in enumerate(classes)}
        self._images = images
        self._unread: Counter[str] = Counter()
        self._own_files: list[Path] = []

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Write labels and image, return their paths; raises `OSError`."""
        name = yolo_name(image.name)
        path = self._folder / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = image.size
        lines = []
        for region in regions:
            number = self._numbers[region.class_id]
            for ring in region.polygons(self._tolerance):
                shares = ((ring + PIXEL_OFFSET) / (width, height)).ravel().tolist()
                lines.append(" ".join([str(number), *(f"{share:.6f}" for share in shares)]))
        with whole_file(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines))
        suffix = Path(image.file_name).suffix
        if suffix.lower() not in _READ_BY_TRAINERS:
            self._unread[suffix] += 1
        place = self._folder / "images" / f"{name}{suffix}"
        self._place(image.file, place)
        self._listed.append(f"{name}{suffix}")
        return [path, place]

    def finish(self) -> list[Path]:
        """Write data.yaml and return its path; raises `OSError`."""
        self._warn()
        self._folder.mkdir(parents=True, exist_ok=True)
        lists = self._write_lists()
        content: dict[str, Any] = {"train": "images", "val": "images"}
        content |= {path.stem: path.name for path in lists}
        content["names"] = dict(enumerate(self._names))
        path = self._folder / "data.yaml"
        with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            yaml.safe_dump(content, file, allow_unicode=True, sort_keys=False, width=10**6)
        return [path, *lists]

    def _write_lists(self) -> list[Path]:
        """The files train.txt and val.txt, where validation has images of its own."""
        if not self._val or len(self._listed) < 2:
            return []
        drawn = sorted(self._listed, key=lambda name: hashlib.sha256(name.encode()).digest())
        count = min(max(1, round(self._val * len(drawn))), len(drawn) - 1)
        lists = {"train": sorted(drawn[count:]), "val": sorted(drawn[:count])}
        for name, images in lists.items():
            text = "".join(f"./images/{image}\n" for image in images)
            write_whole_text(self._folder / f"{name}.txt", text)
        return [self._folder / f"{name}.txt" for name in lists]

    def _place(self, image: Path, place: Path) -> None:
        """Link or copy an image; a link leaves a file alone that lies in its place."""
        root = self._folder / "images"
        if root.is_symlink():
            root.unlink()  # of an earlier release; through it the photographs would be replaced
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_file() and not place.is_symlink() and _same_state(place, image):
            return
        if self._images == "copy":
            with whole_file(place) as temporary:
                shutil.copy2(image, temporary)
        elif place.exists() and not place.is_symlink():
            self._own_files.append(place)
        else:
            _link(place, os.path.abspath(image))

    def _warn(self) -> None:
        for suffix, number in self._unread.items():
            logger.warning(
                "%d images are %s files, which trainers of YOLO leave out: convert them",
                number,
                suffix,
            )
        if self._own_files:
            logger.warning(
                "%d files lie where links to images belong, and stay, the first %s: delete those "
                "that are not the images of this export",
                len(self._own_files),
                self._own_files[0],
            )


def _link(place: Path, target: str) -> None:
    try:
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    except OSError as error:
        reason = f"{error.strerror}; set export.images=copy"
        raise OSError(error.errno, reason, str(place)) from error


def _same_state(place: Path, image: Path) -> bool:
    """True if a file is a copy that was made of an image as it is now."""
    here, there = place.stat(), image.stat()
    return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns)


def yolo_name(name: str) -> str:
    """The name of an image and its labels in a YOLO folder.

    Trainers find labels by the last `images` in the path of an image, so that sub-folders of this
    name get a `_`. Names that are not UTF-8, which trainers cannot hash, get their bytes escaped
    and a number made of them; so do line breaks, since lists have a name a line.
    """
    *folders, stem = (_in_utf8(part) for part in PurePosixPath(name).parts)
    return "/".join([*(f"{part}_" if _IMAGES.fullmatch(part) else part for part in folders), stem])


def _in_utf8(part: str) -> str:
    escaped = re.sub("[\udc80-\udcff\n\r]", lambda byte: f"%{ord(byte[0]) % 256:02X}", part)
    if escaped == part:
        return part
    return f"{escaped}-{hashlib.sha256(os.fsencode(part)).hexdigest()[:8]}"
