"""ImageNet (ILSVRC 2012) as images to train on: whole, or restricted to a list of classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leopart_kit.data.image_files import IMAGE_SUFFIXES
from leopart_kit.data.label_sets import choose_label_set
from leopart_kit.data.layout import choose_split, find_first
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.unlabelled import images_below, samples_below, without_masks
from leopart_kit.image_level.data.classes_settings import ClassesSettings
from leopart_kit.image_level.data.imagenet100 import IMAGENET100
from leopart_kit.input_files import read_lines
from leopart_kit.settings import PathText, settings

if TYPE_CHECKING:  # which itself reads this one
    from leopart_kit.image_level.data.classification import ClassificationDataset

SPLITS = ("train", "val")
# As most people keep it, and as the archive of the Kaggle challenge unpacks.
PLACES = ("{}", "ILSVRC/Data/CLS-LOC/{}", "Data/CLS-LOC/{}", "CLS-LOC/{}")
_SHOWN = 5


def imagenet(
    root: str | os.PathLike[str],
    split: str = "train",
    label_set: str | None = None,
    *,
    classes_file: str | os.PathLike[str] | None = None,
) -> SegmentationDataset:
    """ImageNet images `root/<split>/<wnid>/*.JPEG`; they have no masks.

    `classes_file` restricts the set to the classes it lists: one WordNet id a line, what follows
    on the line is ignored. Names are `<wnid>/<file without suffix>`.

    Raises:
        FileNotFoundError: no folder of the split, no image, or a listed class is missing.
        ValueError: unknown split or label set, or a list without a class or with one twice.
    """
    classes = None if classes_file is None else _read_classes(Path(classes_file))
    return _imagenet("imagenet", root, split, label_set, classes, classes_file)


def imagenet100(
    root: str | os.PathLike[str],
    split: str = "train",
    label_set: str | None = None,
    *,
    classes_file: str | os.PathLike[str] | None = None,
) -> SegmentationDataset:
    """The 100 classes of Tian et al. (2020) out of ImageNet under `root`; 126,689 in train.

    `classes_file` replaces their list by another. Further as `imagenet`.
    """
    classes = IMAGENET100 if classes_file is None else _read_classes(Path(classes_file))
    listed_in = "ImageNet-100" if classes_file is None else classes_file
    return _imagenet("imagenet100", root, split, label_set, classes, listed_in)


def _imagenet(
    name: str,
    root: str | os.PathLike[str],
    split: str,
    label_set: str | None,
    classes: Sequence[str] | None,
    listed_in: object,
) -> SegmentationDataset:
    choose_label_set(label_set, ["none"], name, "none")
    choose_split(split, SPLITS, name)
    folder = find_first(Path(root), [place.format(split) for place in PLACES], f"{split} images")
    if classes is None:
        return images_below(folder, name, split, root)
    missing = [wnid for wnid in classes if not (folder / wnid).is_dir()]
    if missing:
        rest = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} of the {len(classes)} classes of {listed_in}: "
            f"{', '.join(missing[:_SHOWN])}{rest}; add their folders or list fewer in classes_file"
        )
    samples, left_out = samples_below(folder, classes)
    with_images = {sample.name.split("/", 1)[0] for sample in samples}
    empty = next((wnid for wnid in classes if wnid not in with_images), None)
    if empty is not None:
        raise FileNotFoundError(
            f"{folder / empty} holds no image ({', '.join(IMAGE_SUFFIXES)}) of its own; complete it"
        )
    notes = [f"{len(classes)} classes of {listed_in}", *left_out]
    return without_masks(name, split, root, samples, notes)


def _read_classes(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; set classes_file to a list of WordNet ids")
    classes = [line.split()[0] for line in read_lines(path)]
    if not classes:
        raise ValueError(f"{path} lists no class; write one WordNet id a line")
    twice = sorted({wnid for wnid in classes if classes.count(wnid) > 1})
    if twice:
        raise ValueError(f"{path} lists {twice[0]} twice; list it once")
    return classes


@settings
class ImagenetSettings(ClassesSettings):
    """ImageNet (ILSVRC 2012); root holds train/<wnid>/*.JPEG."""

    classes_file: PathText | None = None
    """List of WordNet ids, one a line, to which it is restricted."""

    def load(self) -> SegmentationDataset:
        """See `imagenet`."""
        return imagenet(self.root, self.split, self.label_set, classes_file=self.classes_file)

    def load_classes(self) -> ClassificationDataset:
        """See `imagenet_classes`."""
        from leopart_kit.image_level.data.classification import imagenet_classes

        return imagenet_classes(self.root, self.split, classes_file=self.classes_file)


PART = ImagenetSettings
