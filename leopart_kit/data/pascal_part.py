"""PASCAL-Part (Chen et al., CVPR 2014): 193 parts of 16 classes on images of Pascal VOC 2010."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet, choose_label_set
from leopart_kit.data.layout import choose_split, find_first, read_list, require_files
from leopart_kit.data.loading import DatasetSettings
from leopart_kit.data.segmentation import Sample, SegmentationDataset
from leopart_kit.settings import Text, settings

_VEHICLE = (
    "frontside leftside rightside backside roofside leftmirror rightmirror fliplate bliplate door "
    "wheel headlight window"
)
_PAWED = "head leye reye lear rear nose torso neck lfleg lfpa rfleg rfpa lbleg lbpa rbleg rbpa tail"
_HOOFED = (
    "head leye reye lear rear muzzle torso neck lfuleg lflleg rfuleg rflleg lbuleg lblleg rbuleg "
    "rblleg tail"
)
_PERSON = (
    "head leye reye lear rear lebrow rebrow nose mouth hair torso neck llarm luarm lhand rlarm "
    "ruarm rhand llleg luleg lfoot rlleg ruleg rfoot"
)
_OBJECTS = {
    "aeroplane": "body stern lwing rwing tail engine wheel",
    "bicycle": "fwheel bwheel saddle handlebar chainwheel headlight",
    "bird": "head leye reye beak torso neck lwing rwing lleg lfoot rleg rfoot tail",
    "boat": "",
    "bottle": "cap body",
    "bus": _VEHICLE,
    "car": _VEHICLE,
    "cat": _PAWED,
    "chair": "",
    "cow": f"{_HOOFED} lhorn rhorn",
    "table": "",
    "diningtable": "",
    "dog": f"{_PAWED} muzzle",
    "horse": f"{_HOOFED} lfho rfho lbho rbho",
    "motorbike": "fwheel bwheel handlebar saddle headlight",
    "person": _PERSON,
    "pottedplant": "pot plant",
    "sheep": f"{_HOOFED} lhorn rhorn",
    "sofa": "",
    "train": (
        "head hfrontside hleftside hrightside hbackside hroofside headlight coach cfrontside "
        "cleftside crightside cbackside croofside"
    ),
    "tvmonitor": "screen",
}
OBJECTS: Mapping[str, tuple[str, ...]] = {n: tuple(parts.split()) for n, parts in _OBJECTS.items()}
"""Names of the parts of each class as the annotations have them, without the numbers of repeats."""
PART_NAMES = tuple(f"{name} {part}" for name, parts in OBJECTS.items() for part in parts)
_CLASS_OF = {name: place for place, name in enumerate(PART_NAMES, start=1)}
LABEL_SET = LabelSet("193", ("background", *PART_NAMES), has_background=True)
SPLITS = ("train", "val", "trainval")


def pascal_part(
    root: str | os.PathLike[str], split: str, label_set: str | None = None
) -> SegmentationDataset:
    """PASCAL-Part: background and 193 parts; repeats such as `wheel_2` are one class.

    `root` holds VOC2010 (`JPEGImages/`, `ImageSets/Main/<split>.txt`) and `Annotations_Part/*.mat`,
    in it, beside it or in `trainval/`. Pixels of an object that are of no part are ignored: 255.

    Raises:
        FileNotFoundError: no such layout, or an image is missing.
        ValueError: an unknown split or label set, or no listed image has annotations.
        UnknownClassError: when a mask is read, an object or part of another name.
    """
    choose_split(split, SPLITS, "pascal_part")
    choose_label_set(label_set, ["193"], "pascal_part", "193")
    folders = [f"{base}JPEGImages" for base in ("", "VOC2010/", "VOCdevkit/VOC2010/")]
    image_folder = find_first(Path(root), folders, "images of VOC2010")
    base = image_folder.parent
    list_file = find_first(base, [f"ImageSets/Main/{split}.txt"], f"list of the split {split!r}")
    places = [f"{p}Annotations_Part" for p in ("", "trainval/", "VOC2010/", "VOCdevkit/VOC2010/")]
    annotations = find_first(Path(root), places, "part annotations")
    listed = [line.split()[0] for line in read_list(list_file)]
    samples = [
        Sample(name, str(image_folder / f"{name}.jpg"), (str(annotations / f"{name}.mat"),))
        for name in listed
        if (annotations / f"{name}.mat").exists()
    ]
    if not samples:
        raise ValueError(f"{annotations} has no annotation of an image in {list_file}")
    require_files([sample.image_file for sample in samples], list_file, "images")
    without = len(listed) - len(samples)
    notes = [f"{without} listed images have no part annotations"] if without else []
    return SegmentationDataset("pascal_part", split, root, LABEL_SET, samples, read_parts, notes)


def read_parts(sample: Sample) -> np.ndarray:
    """Class of each pixel int64 `[H, W]`: 0 background, 1 to 193 parts, 255 the rest of objects.

    Where parts overlap, the later one in the file is seen.
    """
    file = str(sample.mask_files[0])
    try:
        found = loadmat(file, squeeze_me=True, struct_as_record=False)["anno"]
        objects = list(np.atleast_1d(found.objects))
        classes = np.zeros(np.shape(objects[0].mask), dtype=np.int64)
        for one in objects:
            classes[np.asarray(one.mask) > 0] = IGNORE_INDEX
        for one in objects:
            name = str(getattr(one, "class"))
            for part in np.atleast_1d(one.parts):
                classes[np.asarray(part.mask) > 0] = _class_of(name, str(part.part_name), file)
            if name not in OBJECTS:
                _refuse(file, name)
    except UnknownClassError:
        raise
    except Exception as error:  # a damaged .mat can fail in any way
        raise BrokenSampleError(f"{file} holds no part annotations: {_said(error)}") from error
    return classes


def _class_of(name: str, part: str, file: str) -> int:
    full = f"{name} {re.sub(r'_[0-9]+$', '', part)}"
    if full not in _CLASS_OF:
        _refuse(file, f"{name} {part}")
    return _CLASS_OF[full]


def _refuse(file: str, what: str) -> None:
    raise UnknownClassError(f"{file} has {what!r}, which is no object or part of PASCAL-Part")


def _said(error: Any) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@settings
class PascalPartSettings(DatasetSettings):
    """PASCAL-Part; root: the folder with VOC2010 and Annotations_Part/."""

    split: Text = "val"
    """train, val, trainval."""

    def load(self) -> SegmentationDataset:
        """See `pascal_part`."""
        return pascal_part(self.root, self.split, self.label_set)


PART = PascalPartSettings
