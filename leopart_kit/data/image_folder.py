"""A folder of the user's own images, with or without masks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from leopart_kit.data.folder_labels import folder_labels
from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.layout import notes_of_walk
from leopart_kit.data.samples import Sample, need_suffix, without_suffix
from leopart_kit.data.segmentation import SegmentationDataset, read_classes
from leopart_kit.data.unlabelled import without_masks
from leopart_kit.data.walking import files_below, real_stems
from leopart_kit.input_files import as_path

WHOLE = "all"


def image_folder(
    root: str | os.PathLike[str],
    split: str = WHOLE,
    label_set: str | None = None,
    *,
    binary: bool = False,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> SegmentationDataset:
    """All images under `root/images` (or under `root`, if there is no such folder), recursively.

    Masks are the files of the same relative name under `root/masks`, class ids in one channel,
    255 ignored; an image without one has mask None. RGB masks are read by the colours of the
    classes (black ignored), or by those of Pascal VOC where the classes have none. Class names
    come from `classes.json` or `classes.txt` (see `read_class_names`); without either, the classes
    are the ids up to the highest that occurs. A first class called "background" is one. Without
    masks `num_classes` is 0. With `binary`, masks are black and white: 0 is the first of two
    classes and 255 the second, "background" and "foreground" by default.

    `split` is `all`, or a folder that exists under both `images` and `masks`. Names are paths
    relative to the folder, without suffix unless two files differ only in it. Images and masks of
    more than `max_megapixels` million pixels count as broken.

    Raises:
        FileNotFoundError: the folder does not exist or holds no image.
        ValueError: unknown split or label set, unreadable class names, a wrong setting.
        UnknownClassError: ids above 255, or 0 and 255 alone without `binary`.
    """
    choose_label_set(label_set, ["folder"], "folder", "folder")
    limit = check_megapixels(max_megapixels)
    if not isinstance(binary, bool):
        raise ValueError(f"binary must be true or false, got {binary!r}")
    root = as_path(root, "root")
    images_at = root / "images" if (root / "images").is_dir() else root
    masks_at = root / "masks"
    if split != WHOLE:
        if not (images_at / split).is_dir():
            folders = sorted(p.name for p in images_at.iterdir() if p.is_dir() and p != masks_at)
            raise ValueError(
                f"{images_at} has no split {split!r}; make it a folder, and another for its masks, "
                f"or choose one of {', '.join([WHOLE, *folders])}"
            )
        images_at, masks_at = images_at / split, masks_at / split
    images, notes = _find_images(images_at, root / "masks")
    masks = _find_masks(masks_at) if masks_at.is_dir() else {}
    samples = _pair(images, masks, images_at, masks_at)
    notes += _count_unpaired(samples, masks)
    masked = [sample for sample in samples if sample.mask_files]
    labels, table, colors = folder_labels(root, masked, binary, limit)
    read_mask = partial(read_classes, table=table, colors=colors, max_megapixels=limit)
    return SegmentationDataset("folder", split, root, labels, samples, read_mask, notes, limit)


def folder_images(
    root: str | os.PathLike[str], max_megapixels: float = MAX_MEGAPIXELS
) -> SegmentationDataset:
    """The images of `image_folder` by the same names, whatever masks lie beside them.

    Raises: as `image_folder`.
    """
    root = as_path(root, "root")
    images_at = root / "images" if (root / "images").is_dir() else root
    images, notes = _find_images(images_at, root / "masks")
    samples = [Sample(name, str(file)) for name, file in images.items()]
    limit = check_megapixels(max_megapixels)
    return without_masks("folder", WHOLE, root, samples, notes, limit)


def _find_images(folder: Path, masks: Path) -> tuple[dict[str, Path], list[str]]:
    """Unique names to files, sorted; notes on files that are no images by their suffix."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist; point root at a folder of images")
    found: list[Path] = []
    others: Counter[str] = Counter()
    files, repeated = files_below(folder, without=masks)
    for path in sorted(map(Path, files)):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            found.append(path)
        elif path.stem != "classes":
            others[path.suffix or path.name] += 1
    if not found:
        raise FileNotFoundError(f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    paths = [path.relative_to(folder).as_posix() for path in found]
    names = (
        path if whole else without_suffix(path)
        for path, whole in zip(paths, need_suffix(paths), strict=True)
    )
    return dict(zip(names, found, strict=True)), notes_of_walk(others, repeated)


def _find_masks(folder: Path) -> dict[str, str]:
    """Masks by their real path without suffix: folders of images may share one of masks."""
    files = [f for f in files_below(folder).files if f.lower().endswith(IMAGE_SUFFIXES)]
    masks: dict[str, str] = {}
    for stem, file in zip(real_stems(files), files, strict=True):
        first = masks.setdefault(stem, file)
        if first != file:
            raise ValueError(f"{first} and {file} are masks of one image; keep one of them")
    return masks


def _pair(
    images: Mapping[str, Path], masks: Mapping[str, str], images_at: Path, masks_at: Path
) -> list[Sample]:
    """Samples of all images, each with the mask of the same path below `masks_at`, if any."""
    if not masks:
        return [Sample(name, str(file)) for name, file in images.items()]
    stems = real_stems(masks_at / file.relative_to(images_at) for file in images.values())
    return [
        Sample(name, str(file), (masks[stem],) if stem in masks else ())
        for (name, file), stem in zip(images.items(), stems, strict=True)
    ]


def _count_unpaired(samples: list[Sample], masks: dict[str, str]) -> list[str]:
    used = {file for sample in samples for file in sample.mask_files}
    without = sum(not sample.mask_files for sample in samples)
    notes = []
    if masks and without:
        notes.append(f"{without} of {len(samples)} images have no mask; they are not scored")
    if len(masks) > len(used):
        notes.append(f"{len(masks) - len(used)} masks have no image")
    return notes
