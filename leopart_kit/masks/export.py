"""Masks of a folder of images, in the formats that annotation tools and trainers read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from leopart_kit.masks.coco_instances import CocoInstances, edge_polygons, run_lengths
from leopart_kit.masks.coco_panoptic import CocoPanoptic
from leopart_kit.masks.labelme import LabelmeFolder
from leopart_kit.masks.mask_folder import MaskFolder
from leopart_kit.masks.part_classes import ClassTable, MaskClass
from leopart_kit.masks.regions import Instances, LabelledImage, Region, find_regions
from leopart_kit.masks.written_files import WrittenFiles
from leopart_kit.masks.yolo import Images, YoloFolder
from leopart_kit.progress import Track, quiet
from leopart_kit.settings import NotNegative, Whole, settings, several
from leopart_kit.whole_file import folders_below, remove_leftovers, scratch_folder

Format = Literal["png", "coco_rle", "coco_polygons", "panoptic", "labelme", "yolo"]
ValShare = Annotated[float, Field(ge=0, lt=1)]
GroupBy = Literal["image", "cluster"]
PLACES = ("masks", "coco", "labelme", "yolo", "clusters")
"""The folders of an export."""


@settings
class ExportSettings:
    """Formats and regions of an export.

    Raises:
        ValueError: a value of another type or out of range; names the setting.
    """

    formats: several(Format) = ("png", "coco_rle")  # type: ignore[valid-type]
    """Of png, coco_rle, coco_polygons, panoptic, labelme, yolo."""
    instances: Instances = "components"
    """components: 8-connected regions; whole: one region for each class of an image."""
    min_area: Whole = 0
    """Pixels; smaller regions go to their largest neighbour, or else to the background."""
    polygon_tolerance: NotNegative = 1.0
    """Pixels by which polygons may be off, with fewer points; 0: exact."""
    group_by: GroupBy = "image"
    """image; cluster: a folder for each class, with the images it occurs in."""
    images: Images = "link"
    """Image that yolo puts beside its labels: a link or a copy."""
    val: ValShare = 0.0
    """Share of the images that yolo keeps for validation; 0: it has all of them, too."""


@dataclass(frozen=True)
class ExportSummary:
    """Numbers of an export: images, those of them without a class, and regions of all."""

    num_images: int
    num_empty: int
    num_regions: int


class MaskWriter(Protocol):
    """One format in one folder; it returns the paths of the files that it writes."""

    def add(self, image: LabelledImage, regions: list[Region]) -> list[Path]:
        """Write an image; `regions` by rising class."""
        ...

    def finish(self) -> list[Path]:
        """Write what speaks of all images."""
        ...


def export_masks(
    images: Iterable[LabelledImage],
    total: int,
    table: ClassTable,
    folder: Path,
    settings: ExportSettings,
    *,
    further: Mapping[str, MaskWriter] | None = None,
    track: Track = quiet,
) -> ExportSummary:
    """Write the masks of `total` images below an existing folder, and `classes.json` beside them.

    By image: `masks/`, `coco/instances.json`, `coco/instances_polygons.json`, `coco/panoptic/`
    with `coco/panoptic.json`, `labelme/`, `yolo/`; by cluster the same in `clusters/<class>/`.
    Files appear whole or not at all; those of an earlier export are replaced. What it wrote in
    these formats for images that are gone is removed.

    Raises:
        OSError: a file cannot be written; carries its name.
    """
    below = (folders_below(folder / place) for place in PLACES)
    remove_leftovers([folder, *chain.from_iterable(below)])
    table.write(folder / "classes.json")
    num_images = num_empty = num_regions = 0
    source = None
    with scratch_folder(folder / "export") as scratch, WrittenFiles(folder) as files:
        writers = _Writers(table, folder, settings, scratch, files, further or {})
        for image in track(images, "masks", total):
            regions = find_regions(image.labels, settings.instances, settings.min_area)
            writers.add(image, regions)
            source = image.folder
            num_images += 1
            num_empty += not regions
            num_regions += len(regions)
        writers.finish()
        files.remove_stale(writers.keys, source)
    return ExportSummary(num_images, num_empty, num_regions)


class _Writers:
    """All formats, in one folder or in one for each class that occurs."""

    def __init__(
        self,
        table: ClassTable,
        folder: Path,
        settings: ExportSettings,
        scratch: Path,
        files: WrittenFiles,
        further: Mapping[str, MaskWriter],
    ) -> None:
        self._further = further
        self._table = table
        self._folder = folder
        self._settings = settings
        self._scratch = scratch
        self._files = files
        self._of_class: dict[int, dict[str, MaskWriter]] = {}
        if settings.group_by == "cluster":
            self._folders = class_folders(table)
            self._together = {}
        else:
            self._together = self._open(table.classes, folder, scratch)

    @property
    def keys(self) -> list[str]:
        """Names of the writers of these settings in the list of written files."""
        return [*self._format_keys, *self._further]

    @property
    def _format_keys(self) -> list[str]:
        return [f"{self._settings.group_by} {name}" for name in self._settings.formats]

    def add(self, image: LabelledImage, regions: list[Region]) -> None:
        for key, writer in (*self._together.items(), *self._further.items()):
            self._files.add(key, image.file, writer.add(image, regions))
        if self._settings.group_by == "cluster":
            for class_id, members in groupby(regions, key=lambda region: region.class_id):
                self._add_to_class(image, class_id, list(members))

    def finish(self) -> None:
        for writers in (self._together, *self._of_class.values(), self._further):
            for key, writer in writers.items():
                self._files.add(key, None, writer.finish())

    def _add_to_class(self, image: LabelledImage, class_id: int, regions: list[Region]) -> None:
        if class_id not in self._of_class:
            name = self._folders[class_id]
            scratch = self._scratch / name
            scratch.mkdir()
            own = tuple(item for item in self._table.classes if item.id == class_id)
            place = self._folder / "clusters" / name
            self._of_class[class_id] = self._open(own, place, scratch)
        for key, writer in self._of_class[class_id].items():
            self._files.add(key, image.file, writer.add(image, regions))

    def _open(
        self, classes: tuple[MaskClass, ...], folder: Path, scratch: Path
    ) -> dict[str, MaskWriter]:
        """The writers of the formats asked for, in one folder, by their keys."""
        coco, things = folder / "coco", self._settings.instances == "components"
        tolerance, val = self._settings.polygon_tolerance, self._settings.val
        makers: dict[Format, Callable[[], MaskWriter]] = {
            "png": lambda: MaskFolder(folder / "masks", self._table.palette),
            "coco_rle": lambda: CocoInstances(
                coco / "instances.json", classes, scratch, run_lengths
            ),
            "coco_polygons": lambda: CocoInstances(
                coco / "instances_polygons.json", classes, scratch, edge_polygons(tolerance)
            ),
            "panoptic": lambda: CocoPanoptic(coco / "panoptic", classes, scratch, things),
            "labelme": lambda: LabelmeFolder(folder / "labelme", classes, tolerance),
            "yolo": lambda: YoloFolder(
                folder / "yolo", classes, self._settings.images, tolerance, val
            ),
        }
        makers_asked = (makers[name]() for name in self._settings.formats)
        return dict(zip(self._format_keys, makers_asked, strict=True))


def class_folders(table: ClassTable) -> dict[int, str]:
    """The name of each class, by id, as a folder can have it: other signs become `_`.

    Where that is the folder of an earlier class too, its id follows.
    """
    folders: dict[int, str] = {}
    taken: set[str] = set()
    for item in table.classes:
        # Cut, so that the longest signs of UTF-8 fit into a name that disks can have.
        name = re.sub(r"[^\w-]+", "_", item.name)[:50]
        while name.lower() in taken:  # upper and lower case are one on many disks
            name = f"{name}_{item.id:03d}"
        taken.add(name.lower())
        folders[item.id] = name
    return folders


def _check(setting: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{setting} must be of {', '.join(choices)}; got {value!r}")
