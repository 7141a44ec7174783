"""One image or one mask in whatever form a person holds it, as the toolkit has them."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.image_files import to_rgb
from leopart_kit.data.label_sets import IGNORE_INDEX

_COLOURS = (1, 3)  # channels of a grey and of an RGB image
_INTEGERS = "iub"


def as_pixels(image: object, where: str = "the image") -> Tensor:
    """An image as uint8 `[3, H, W]`.

    Args:
        image: of PIL in any mode; or an array `[H, W, 3]` or a tensor `[3, H, W]` (the other order
            is recognised, grey ones have 1 channel or none), uint8 or floats of 0 to 1.
        where: what it is, for errors.

    Raises:
        ValueError: anything else, such as an image that is normalised already.
    """
    if isinstance(image, Image.Image):
        return torch.from_numpy(np.array(to_rgb(image))).permute(2, 0, 1).contiguous()
    if not isinstance(image, (np.ndarray, Tensor)):
        raise ValueError(
            f"{where} is a {type(image).__name__}, not an array, tensor or PIL image (of files, "
            "give their folder)"
        )
    values = np.asarray(image.detach().cpu()) if isinstance(image, Tensor) else image
    planes = _channels_first(values, isinstance(image, Tensor), where)
    pixels = np.ascontiguousarray(_bytes(planes, where))
    return torch.from_numpy(pixels).expand(3, -1, -1).clone()


def _channels_first(values: np.ndarray, is_tensor: bool, where: str) -> np.ndarray:
    if values.ndim == 2:
        values, is_tensor = values[None], True
    first = values.ndim == 3 and values.shape[0] in _COLOURS
    last = values.ndim == 3 and values.shape[2] in _COLOURS
    if not (first or last) or not values.size:
        raise ValueError(
            f"{where} has shape {list(values.shape)}: expected [H, W, 3] or [3, H, W], RGB"
        )
    if first and (is_tensor or not last):
        return values
    return values.transpose(2, 0, 1)


def _bytes(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind != "f":
        raise ValueError(f"{where} holds {values.dtype}: give uint8, or floats of 0 to 1")
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{where} holds floats of {low:.3g} to {high:.3g}: give uint8, or floats of 0 to 1 "
            "(before any Normalize; the encoder normalises itself)"
        )
    return np.round(values * 255).astype(np.uint8)


def as_class_ids(
    mask: object, where: str = "the mask", ignore_index: int = IGNORE_INDEX
) -> np.ndarray:
    """A mask as class ids int64 `[H, W]`, 255 for ignored pixels.

    Args:
        mask: of PIL with one channel; or integers `[H, W]`, or `[1, H, W]`.
        where: what it is, for errors.
        ignore_index: id of the pixels that do not count.

    Raises:
        ValueError: anything else, such as a class of the whole image.
        UnknownClassError: an id below 0 or above 254 that is not `ignore_index`.
    """
    if isinstance(mask, Image.Image):
        if mask.mode not in ("P", "L", "1", "I", "I;16"):
            raise ValueError(f"{where} is a PIL image of mode {mask.mode}: ids have one channel")
        mask = np.array(mask)
    values = np.asarray(mask.detach().cpu()) if isinstance(mask, Tensor) else np.asarray(mask)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.squeeze(0 if values.shape[0] == 1 else 2)
    if values.ndim != 2 or values.dtype.kind not in _INTEGERS or not values.size:
        raise ValueError(
            f"{where} is {values.dtype} {list(values.shape)}: masks are integers [H, W], a class "
            "for each pixel"
        )
    ids = values.astype(np.int64)
    ignored = ids == ignore_index
    wrong = ids[((ids < 0) | (ids >= IGNORE_INDEX)) & ~ignored]
    if wrong.size:
        raise UnknownClassError(
            f"{where} holds id {wrong[0]}: classes are 0 to 254, and {ignore_index} is ignored; "
            "set ignore_index if that is another"
        )
    ids[ignored] = IGNORE_INDEX
    return ids
