"""Images that a person has in Python: arrays, or a `Dataset` of torch, as a data set of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import Size
from leopart_kit.data.label_sets import IGNORE_INDEX, LabelSet
from leopart_kit.data.pixels import as_class_ids, as_pixels
from leopart_kit.data.segmentation import Sample, SegmentationDataset

_IMAGE_KEYS = ("image", "img", "pixel_values")
_MASK_KEYS = ("mask", "segmentation", "label", "labels", "target")


def given_images(
    data: object, class_names: Sequence[str] | None, ignore_index: int
) -> SegmentationDataset:
    """The images of a source, all of which are read once here; see `as_dataset`."""
    source = _source(data)
    items = [_facts_of(source, row, ignore_index) for row in range(len(source))]
    if items and items[0] != _facts_of(source, 0, ignore_index):
        raise ValueError(
            f"item 0 of {_name(source)} is another at each reading: take out what is random in its "
            "transforms"
        )
    return GivenImages(source, items, _label_set(source, items, class_names), ignore_index)


class _Arrays(Dataset):
    """Images and masks that lie beside each other."""

    def __init__(self, images: Any, masks: Any = None) -> None:
        for role, stack, sides in (("images", images, (4,)), ("masks", masks, (3, 4))):
            if isinstance(stack, (np.ndarray, Tensor)):
                if stack.ndim not in sides:
                    raise ValueError(
                        f"{role} has shape {list(stack.shape)}: expected a stack of them, "
                        "[N, H, W, 3] or [N, 3, H, W] of images and [N, H, W] of masks"
                    )
            elif not isinstance(stack, (list, tuple)) and (stack is not None or role == "images"):
                path = isinstance(stack, (str, Path))
                ours = "the folder that holds images/ and masks/" if path else "an array, a tensor"
                raise ValueError(
                    f"{role} is {f'the path {stack}' if path else f'a {type(stack).__name__}'}: "
                    f"give {ours}{'' if path else ' or a list'}"
                )
        if masks is not None and len(images) != len(masks):
            raise ValueError(f"{len(images)} images and {len(masks)} masks: give one mask an image")
        self.images, self.masks = images, masks

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], None if self.masks is None else self.masks[index]


def _source(data: Any) -> Any:
    """Anything with a length and items."""
    if isinstance(data, tuple):
        if len(data) != 2:
            raise ValueError(f"expected a pair (images, masks), got a tuple of {len(data)}")
        return _Arrays(*data)
    if isinstance(data, (list, np.ndarray, Tensor)):
        return _Arrays(data)
    sized = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if isinstance(data, IterableDataset) or not sized or isinstance(data, Mapping):
        raise ValueError(
            f"a {type(data).__name__} is no data set with a length and items: give a folder, a "
            "pair (images, masks) of arrays, or a Dataset of torch whose items are (image, mask)"
        )
    return data


class _Item(NamedTuple):
    image: Tensor
    mask: np.ndarray | None
    name: str


class _Facts(NamedTuple):
    """Facts about an item that was read; `highest` is its highest class, −1 for none."""

    row: int
    name: str
    size: Size
    image_sha256: str
    mask_sha256: str | None
    highest: int


class GivenImages(SegmentationDataset):
    """Images and masks that are no files, read through a source with a length and items.

    Made by `given_images`.
    """

    def __init__(
        self, source: Any, items: Sequence[_Facts], label_set: LabelSet, ignored: int
    ) -> None:
        self._source, self._items, self._ignored = source, items, ignored
        samples = [Sample(one.name, f"item {one.row} of {_name(source)}") for one in items]
        super().__init__(_name(source), "all", "memory", label_set, samples, _no_file)

    def spread(self, num_images: int) -> GivenImages:
        """At most `num_images` items at even distances, see `SegmentationDataset.spread`."""
        kept = set(super().spread(num_images).names)
        items = [one for one in self._items if one.name in kept]
        part = GivenImages(self._source, items, self.label_set, self._ignored)
        if len(part) < len(self):
            part.notes = (*self.notes, f"{len(part):,} of {len(self):,} images")
        return part

    def load_image(self, index: int) -> Tensor:
        """The image, uint8 `[3, H, W]`; raises `ValueError` for an item of another form."""
        return _read(self._source, self._items[index].row, self._ignored).image

    def image_size(self, index: int) -> Size:
        """`(H, W)` of the image."""
        return self._items[index].size

    def load_mask(self, index: int) -> Tensor | None:
        """The class indices, int64 `[H, W]`, or None for an item without a mask."""
        mask = _read(self._source, self._items[index].row, self._ignored).mask
        return None if mask is None else torch.from_numpy(mask)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the names and the pixels of all images."""
        return _sha256((one.name, one.size, one.image_sha256) for one in self._items)

    def mask_fingerprint(self) -> str:
        """SHA-256 (hex) over the classes and the ids of all masks."""
        masks = [(one.name, one.mask_sha256) for one in self._items]
        return _sha256([self.class_names, self.label_set.colors, *masks])


def _label_set(source: Any, items: Sequence[_Facts], class_names: Sequence[str] | None) -> LabelSet:
    """The classes that were given, that the source names, or one for each id."""
    if all(one.mask_sha256 is None for one in items):
        return LabelSet("given", ())
    said = class_names
    for attribute in ("class_names", "classes"):
        said = getattr(source, attribute, None) if said is None else said
    highest = max(items, key=lambda one: one.highest)
    names = tuple(f"class {i}" for i in range(highest.highest + 1))
    if said is not None:
        names = tuple(map(str, said))
    if highest.highest >= len(names):
        raise UnknownClassError(
            f"item {highest.row} of {_name(source)} holds id {highest.highest}, and there are "
            f"{len(names)} class_names: name all, or set ignore_index if this one is ignored"
        )
    background = names[:1] != () and names[0].lower() == "background"
    return LabelSet("given", names, background)


def _read(source: Any, row: int, ignored: int) -> _Item:
    where = f"item {row} of {_name(source)}"
    try:
        item = source[row]
    except Exception as error:  # whatever the reading of a user's data set comes to
        raise BrokenSampleError(f"{where} cannot be read ({error!r:.200})") from error
    image, mask, name = _parts(item, where)
    pixels = as_pixels(image, f"the image of {where}")
    ids = None if mask is None else as_class_ids(mask, f"the mask of {where}", ignored)
    if ids is not None and ids.shape != tuple(pixels.shape[1:]):
        raise BrokenSampleError(
            f"{where} has an image of {list(pixels.shape[1:])} and a mask of {list(ids.shape)}: "
            "they must be as large"
        )
    return _Item(pixels, ids, name or f"{row:06d}")


def _facts_of(source: Any, row: int, ignored: int) -> _Facts:
    image, mask, name = _read(source, row, ignored)
    classes = () if mask is None else mask[mask != IGNORE_INDEX]
    return _Facts(
        row,
        name,
        (image.shape[1], image.shape[2]),
        hashlib.sha256(image.numpy().tobytes()).hexdigest(),
        None if mask is None else hashlib.sha256(mask.tobytes()).hexdigest(),
        int(np.max(classes, initial=-1)),
    )


def _parts(item: Any, where: str) -> tuple[Any, Any, str | None]:
    """Image, mask and name of an item."""
    if isinstance(item, Mapping):
        image, mask = (
            next((item[key] for key in keys if key in item), None)
            for keys in (_IMAGE_KEYS, _MASK_KEYS)
        )
        name = item.get("name")
        if image is None:
            raise ValueError(f"{where} has the keys {', '.join(map(str, item))}, and no image")
    elif isinstance(item, (tuple, list)):
        if not 1 <= len(item) <= 3 or (len(item) == 3 and not isinstance(item[2], str)):
            raise ValueError(
                f"{where} has {len(item)} parts: expected (image, mask) or (image, mask, name)"
            )
        image, mask, name = (*item, None, None)[:3]
    else:
        image, mask, name = item, None, None
    return image, mask, None if name is None else str(name)


def _name(source: Any) -> str:
    return "arrays" if isinstance(source, _Arrays) else type(source).__name__


def _no_file(sample: Sample) -> np.ndarray:
    raise ValueError(f"{sample.name} is no file")


def _sha256(parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part!r}\n".encode())
    return digest.hexdigest()
