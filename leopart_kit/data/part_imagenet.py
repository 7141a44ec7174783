"""PartImageNet (He et al., ECCV 2022): 40 parts of 11 groups of ImageNet's classes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.label_sets import LabelSet, choose_label_set
from leopart_kit.data.layout import choose_split, find_first, require_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.input_files import read_json
from leopart_kit.settings import Text, settings

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Quadruped": ("Head", "Body", "Foot", "Tail"),
    "Biped": ("Head", "Body", "Hand", "Foot", "Tail"),
    "Fish": ("Head", "Body", "Fin", "Tail"),
    "Bird": ("Head", "Body", "Wing", "Foot", "Tail"),
    "Snake": ("Head", "Body"),
    "Reptile": ("Head", "Body", "Foot", "Tail"),
    "Car": ("Body", "Tier", "Side Mirror"),
    "Bicycle": ("Head", "Body", "Seat", "Tier"),
    "Boat": ("Body", "Sail"),
    "Aeroplane": ("Head", "Body", "Wing", "Engine", "Tail"),
    "Bottle": ("Body", "Mouth"),
}
PART_NAMES = tuple(f"{group} {part}" for group, parts in GROUPS.items() for part in parts)
LABEL_SET = LabelSet("40", ("background", *PART_NAMES), has_background=True)
SPLITS = ("train", "val", "test")


def part_imagenet(
    root: str | os.PathLike[str], split: str, label_set: str | None = None
) -> SegmentationDataset:
    """PartImageNet: 40 parts, background first; "Tier" is how the release spells tyre.

    `root` holds `images/<split>/` and COCO-style `annotations/<split>/<split>.json`, or the JSON in
    `annotations/` or beside it. Where parts overlap, the later one in the file is seen.

    Raises:
        FileNotFoundError: no such layout, or an image is missing.
        ValueError: an unknown split or label set, or a JSON of another form.
        UnknownClassError: a category that is no part of PartImageNet; when its mask is read, an
            annotation of a category that the JSON does not list.
    """
    choose_split(split, SPLITS, "part_imagenet")
    choose_label_set(label_set, ["40"], "part_imagenet", "40")
    places = [f"annotations/{split}/{split}.json", f"annotations/{split}.json", f"{split}.json"]
    json_file = find_first(Path(root), places, f"annotations of the split {split!r}")
    image_folder = find_first(
        Path(root), [f"images/{split}", split, "images"], f"images of the split {split!r}"
    )
    names = sorted(_read(str(json_file)).images)
    samples = [Sample(n, str(image_folder / n), (str(json_file),)) for n in names]
    require_files([sample.image_file for sample in samples], json_file, "images")
    notes = ("overlapping parts: the later annotation is seen",)
    return SegmentationDataset("part_imagenet", split, root, LABEL_SET, samples, read_parts, notes)


def read_parts(sample: Sample) -> np.ndarray:
    """Class of each pixel int64 `[H, W]`: 0 for background, 1 to 40 for parts."""
    file = str(sample.mask_files[0])
    annotated = _read(file)
    image = annotated.images[sample.name]
    classes = np.zeros((image.height, image.width), dtype=np.int64)
    for annotation in annotated.of_image[image.id]:
        part = annotated.classes.get(annotation["category_id"])
        if part is None:
            raise UnknownClassError(
                f"{file} has category {annotation['category_id']} in {sample.name}, which it does "
                "not list; download it again"
            )
        try:
            classes[_pixels(annotation["segmentation"], *classes.shape)] = part
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise BrokenSampleError(f"{file}: a part of {sample.name} is no outline") from error
    return classes


class _Image(NamedTuple):
    id: Any
    height: int
    width: int


@dataclass(frozen=True)
class _Annotations:
    """Content of a JSON: images by file name, annotations by image, class of each category."""

    images: Mapping[str, _Image]
    of_image: Mapping[Any, list[dict[str, Any]]]
    classes: Mapping[Any, int]


def _read(file: str) -> _Annotations:
    at = os.stat(file)
    return _parse(file, at.st_mtime_ns, at.st_size)


@lru_cache(maxsize=4)
def _parse(file: str, changed: int, size: int) -> _Annotations:
    """The annotations of a file in this state; read once in each process."""
    document = read_json(Path(file))
    try:
        images = {
            one["file_name"]: _Image(one["id"], int(one["height"]), int(one["width"]))
            for one in document["images"]
        }
        of_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in document["annotations"]:
            _ = annotation["category_id"], annotation["segmentation"]  # both must be there
            of_image[annotation["image_id"]].append(annotation)
        names = {category["id"]: str(category["name"]) for category in document["categories"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{file} has no images, annotations and categories as COCO has them ({error}); take "
            "the JSON of PartImageNet"
        ) from error
    known = {name.casefold(): place for place, name in enumerate(PART_NAMES, start=1)}
    unknown = [name for name in names.values() if name.casefold() not in known]
    if unknown:
        raise UnknownClassError(
            f"{file} has the part {unknown[0]!r}, which is none of PartImageNet's 40; take its JSON"
        )
    return _Annotations(images, of_image, {i: known[n.casefold()] for i, n in names.items()})


def _pixels(outline: Any, height: int, width: int) -> np.ndarray:
    """bool `[H, W]` of polygons, or of a run-length code."""
    if isinstance(outline, list):
        codes = coco_mask.frPyObjects(outline, height, width)
        return coco_mask.decode(coco_mask.merge(codes)).astype(bool)
    if isinstance(outline["counts"], list):
        outline = coco_mask.frPyObjects(outline, height, width)
    return coco_mask.decode(outline).astype(bool)


@settings
class PartImageNetSettings(DatasetSettings):
    """PartImageNet; root: the folder with images/ and annotations/."""

    split: Text = "val"
    """train, val, test."""

    def load(self) -> SegmentationDataset:
        """See `part_imagenet`."""
        return part_imagenet(self.root, self.split, self.label_set)


PART = PartImageNetSettings
