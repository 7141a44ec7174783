"""Images with one class each, in the layouts in which people keep them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torchvision
from torch import Tensor

from leopart_kit.data.image_opening import MAX_MEGAPIXELS, check_megapixels
from leopart_kit.data.layout import choose_split
from leopart_kit.data.samples import Sample, need_suffix
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.data.unlabelled import samples_below, without_masks
from leopart_kit.image_level.data.imagenet import imagenet, imagenet100
from leopart_kit.image_level.data.read_images import ArrayRows, ReadImages

logger = logging.getLogger(__name__)

# The released archive of the validation images has no folders.
_SORT_BY_CLASS = (
    "move every image into a folder named after its class, as torchvision.datasets.ImageNet and "
    "valprep.sh do with the validation images"
)


@dataclass(frozen=True)
class ClassificationDataset:
    """Images and the class of each.

    Attributes:
        images: the images as a data set without masks, for training and feature stores.
        labels: int64 `[N]`, indices into `class_names`.
        class_names: in the order of the indices.

    Raises:
        ValueError: another number of labels than of images.
    """

    images: SegmentationDataset
    labels: np.ndarray
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.images),):
            raise ValueError(f"{len(self.images)} images and labels {list(self.labels.shape)}")

    @property
    def name(self) -> str:
        return self.images.name

    @property
    def split(self) -> str:
        return self.images.split

    @property
    def root(self) -> Path:
        return self.images.root

    @property
    def names(self) -> Sequence[str]:
        """Unique names of the images, in order."""
        return self.images.names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int, str]:
        """`(image uint8 [3, H, W], class, name)`; raises `BrokenSampleError`."""
        return self.load_image(index), int(self.labels[index]), self.names[index]

    def load_image(self, index: int) -> Tensor:
        """The image, uint8 `[3, H, W]`; raises `BrokenSampleError`."""
        return self.images.load_image(index)

    def image_path(self, index: int) -> Path:
        """The file of one image."""
        return self.images.image_path(index)

    def fingerprint(self) -> str:
        """sha256 of the images, see `SegmentationDataset.fingerprint`; not of their labels."""
        return self.images.fingerprint()

    def spread(self, num_images: int) -> ClassificationDataset:
        """At most `num_images` images, see `SegmentationDataset.spread`; all class names stay."""
        images = self.images.spread(num_images)
        class_of = dict(zip(self.names, self.labels, strict=True))
        labels = np.array([class_of[name] for name in images.names], dtype=np.int64)
        return ClassificationDataset(images, labels, self.class_names)

    def with_classes_of(self, other: ClassificationDataset) -> ClassificationDataset:
        """The same images with labels that index the classes of another split.

        Raises:
            ValueError: a class that the other split does not have.
        """
        index = {name: i for i, name in enumerate(other.class_names)}
        present = [self.class_names[i] for i in np.unique(self.labels)]
        missing = [name for name in present if name not in index]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ValueError(
                f"{self.name} {self.split} has {len(missing)} classes that {other.split} lacks: "
                f"{', '.join(missing[:3])}{more}; add images of them to {other.split} or remove "
                f"them from {self.split}"
            )
        table = np.array([index.get(name, -1) for name in self.class_names])
        return ClassificationDataset(self.images, table[self.labels], other.class_names)


def image_folder_classes(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> ClassificationDataset:
    """Images `root/<split>/<class>/…`, the layout of torchvision's `ImageFolder`.

    Classes are the folders in alphabetical order, without those that hold no image. Images of more
    than `max_megapixels` million pixels count as broken.

    Raises:
        FileNotFoundError: the root does not exist, or the split holds no image.
        ValueError: there is no such split, or an image lies in no class folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; set dataset.root")
    splits = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if split not in splits:
        listing = ", ".join(splits) or "none"
        raise ValueError(
            f"{root} has no split {split!r} (its folders: {listing}); images belong in "
            f"{root / split}/<class>/"
        )
    folder = root / split
    samples, notes = samples_below(folder)
    named, limit = _unique_names(samples), check_megapixels(max_megapixels)
    images = without_masks("image_folder_classes", split, root, named, notes, limit)
    return _by_folder(images, "move it into one")


def imagenet_classes(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes_file: str | os.PathLike[str] | None = None,
) -> ClassificationDataset:
    """ImageNet with its WordNet ids as classes; layouts and errors are those of `data.imagenet`.

    Raises: as `data.imagenet`; `ValueError` for an image in no class folder.
    """
    return _by_folder(imagenet(root, split, classes_file=classes_file), _SORT_BY_CLASS)


def imagenet100_classes(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes_file: str | os.PathLike[str] | None = None,
) -> ClassificationDataset:
    """ImageNet-100 with its WordNet ids as classes; see `data.imagenet100`."""
    return _by_folder(imagenet100(root, split, classes_file=classes_file), _SORT_BY_CLASS)


def cifar10(root: str | os.PathLike[str], split: str = "train") -> ClassificationDataset:
    """CIFAR-10 as it is downloaded, `root/cifar-10-batches-py`; splits `train` and `test`.

    Raises:
        FileNotFoundError: the files are not there, or not as they were released.
        ValueError: unknown split.
    """
    return _cifar("cifar10", torchvision.datasets.CIFAR10, root, split)


def cifar100(root: str | os.PathLike[str], split: str = "train") -> ClassificationDataset:
    """CIFAR-100 as it is downloaded, `root/cifar-100-python`; further as `cifar10`."""
    return _cifar("cifar100", torchvision.datasets.CIFAR100, root, split)


def _unique_names(samples: list[Sample]) -> list[Sample]:
    """Names keep their suffix where they need it, see `need_suffix`."""
    paths = [f"{one.name}{os.path.splitext(str(one.image_file))[1]}" for one in samples]
    return [
        one._replace(name=path) if whole else one
        for one, path, whole in zip(samples, paths, need_suffix(paths), strict=True)
    ]


def _by_folder(images: SegmentationDataset, remedy: str) -> ClassificationDataset:
    """The first folder of each name as its class; `ValueError` for an image outside folders."""
    stray = [i for i, name in enumerate(images.names) if "/" not in name]
    if stray:
        more = f" ({len(stray)} images like it)" if len(stray) > 1 else ""
        raise ValueError(f"{images.image_path(stray[0])} lies in no class folder{more}; {remedy}")
    folders = [name.split("/", 1)[0] for name in images.names]
    class_names, labels = np.unique(folders, return_inverse=True)
    return ClassificationDataset(images, labels.astype(np.int64), tuple(class_names.tolist()))


def _cifar(
    name: str,
    kind: Callable[..., torchvision.datasets.CIFAR10],
    root: str | os.PathLike[str],
    split: str,
) -> ClassificationDataset:
    choose_split(split, ("train", "test"), name)
    try:
        stored = kind(str(root), train=split == "train", download=False)
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{root} holds no complete {name} (its folder {kind.base_folder} as unpacked from the "  # type: ignore[attr-defined]
            "released archive); download it or point root at its parent folder"
        ) from error
    folder = Path(root) / stored.base_folder
    labels = np.asarray(stored.targets, dtype=np.int64)
    digits = len(str(len(labels)))
    samples = [
        Sample(f"{stored.classes[label]}/{i:0{digits}d}", str(folder))
        for i, label in enumerate(labels)
    ]
    pixels = hashlib.sha256(stored.data.tobytes()).hexdigest()
    images = ReadImages(name, split, root, samples, ArrayRows(stored.data), f"{name} {pixels}")
    return ClassificationDataset(images, labels, tuple(stored.classes))
