"""Checks of what an export could not write in the end, before the work begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from leopart_kit.masks.export import ExportSettings, Format
from leopart_kit.masks.yolo import yolo_name
from leopart_kit.whole_file import scratch_path

_ENDINGS: dict[Format, str] = {"png": ".png", "panoptic": ".png", "labelme": ".json"}
_PLACES: dict[Format, tuple[str, ...]] = {
    "png": ("masks",),
    "coco_rle": ("coco",),
    "coco_polygons": ("coco",),
    "panoptic": ("coco/panoptic",),
    "labelme": ("labelme",),
    "yolo": ("yolo/labels", "yolo/images"),
}


def check_export(
    folder: Path, images: Iterable[tuple[str, Path]], settings: ExportSettings
) -> None:
    """Raise unless the files of an export can be written into an existing folder.

    Args:
        folder: what `export_masks` will write into.
        images: name and file of each image.
        settings: what will be written.

    Raises:
        ValueError: a name that is too long or is another's folder, a file where a folder must be,
            or a disk that takes no links; names it and what to change.
    """
    pairs = list(images)
    by_image = settings.group_by == "image"
    for form in settings.formats:
        for place in _PLACES[form] if by_image else ("clusters",):
            _check_place(folder / place)
        if form in _ENDINGS:
            _check_names(folder, form, [f"{name}{_ENDINGS[form]}" for name, _ in pairs])
        elif form == "yolo":
            _check_names(folder, form, [f"{yolo_name(name)}.txt" for name, _ in pairs])
            _check_names(folder, form, [f"{yolo_name(name)}{file.suffix}" for name, file in pairs])
    if "yolo" in settings.formats and settings.images == "link":
        _check_links(folder)


def _check_place(place: Path) -> None:
    """Raise if the first of a folder's parents that exists, or itself, is a file."""
    there = next(path for path in (place, *place.parents) if os.path.lexists(path))
    replaced = there.is_symlink() and there.name == "images"  # as earlier releases left it
    if not there.is_dir() and not replaced:
        raise ValueError(f"{there} must be a folder for this export: move it, or set output_dir")


def _check_names(folder: Path, form: Format, files: Sequence[str]) -> None:
    longest = os.pathconf(folder, "PC_NAME_MAX")
    advice = f"rename the image, or leave {form} out of export.formats"
    for file in files:
        if len(os.fsencode(file.rpartition("/")[2])) > longest:
            raise ValueError(f"{file} is a name of more than {longest} bytes; {advice}")
    folders = {str(above) for file in files for above in PurePosixPath(file).parents}
    taken = sorted(folders.intersection(files))
    if taken:
        raise ValueError(f"{taken[0]} would be both a file of {form} and a folder; {advice}")


def _check_links(folder: Path) -> None:
    probe = scratch_path(folder / "link_test")
    try:
        probe.symlink_to(folder)
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"{folder} takes no links to images ({error.strerror}); set export.images=copy"
        ) from error
