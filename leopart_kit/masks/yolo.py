"""YOLO segmentation labels: a line of text for each polygon, in shares of the image's sides."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from leopart_kit.masks.labelme import PIXEL_OFFSET
from leopart_kit.masks.part_classes import MaskClass
from leopart_kit.masks.regions import LabelledImage, Region
from leopart_kit.whole_file import whole_file

logger = logging.getLogger(__name__)


class YoloFolder:
    """Writes `folder/labels/<name>.txt`, `folder/data.yaml`, and `folder/images`, a link.

    Classes are numbered from 0 in the order of their ids. A line is `class x1 y1 x2 y2 …`; a
    region of several components, where regions are whole classes, has a line for each.
    """

    def __init__(self, folder: Path, classes: Sequence[MaskClass]) -> None:
        self._folder = folder
        self._names = [item.name for item in classes]
        self._numbers = {item.id: number for number, item in enumerate(classes)}
        self._linked = False

    def add(self, image: LabelledImage, regions: list[Region]) -> None:
        """Write the labels of an image; raises `OSError`."""
        path = self._folder / "labels" / f"{image.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = image.size
        lines = []
        for region in regions:
            number = self._numbers[region.class_id]
            for ring in region.polygons:
                shares = ((ring + PIXEL_OFFSET) / (width, height)).ravel().tolist()
                lines.append(" ".join([str(number), *(f"{share:.6f}" for share in shares)]))
        with whole_file(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines))
        if Path(image.file_name).with_suffix("").as_posix() != image.name:
            logger.warning(
                "%s: another image differs from it only in the suffix, and trainers look for the "
                "labels of both in one file; rename one of them",
                image.file,
            )
        if not self._linked:
            self._link_images(image)
            self._linked = True

    def finish(self) -> None:
        """Write data.yaml; raises `OSError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # JSON strings are YAML strings, whatever signs a name has.
        names = [
            f"  {number}: {json.dumps(name, ensure_ascii=False)}\n"
            for number, name in enumerate(self._names)
        ]
        with whole_file(self._folder / "data.yaml") as temporary:
            head = "# path: this folder; set it where it lies when you train\n"
            where = json.dumps(str(self._folder.resolve()), ensure_ascii=False)
            text = f"{head}path: {where}\ntrain: images\nval: images\nnames:\n{''.join(names)}"
            temporary.write_text(text, "utf-8")

    def _link_images(self, image: LabelledImage) -> None:
        """Link the folder of images to where trainers look for it: beside `labels`."""
        link = self._folder / "images"
        images = image.file.parents[len(Path(image.file_name).parts) - 1].resolve()
        if os.path.lexists(link) and not link.is_symlink():
            return  # the user's own copy
        try:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(images, target_is_directory=True)
        except OSError as error:
            logger.warning("cannot link %s (%s): copy the images there", link, error.strerror)
