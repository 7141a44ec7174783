"""Image and mask files of any kind that turns up in practice, read into one form each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, TiffImagePlugin

from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.image_opening import LARGE, MAX_MEGAPIXELS, AnyImage, load, opened

Color = tuple[int, int, int]
Size = tuple[int, int]  # (H, W)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
# From the orientation in the EXIF data to what puts the image upright; 1 is upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
TURNED = (5, 6, 7, 8)
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def _orientation(image: Image.Image) -> int:
    """The orientation in the EXIF data; 1, upright, where Pillow cannot parse them."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # its parser raises as many kinds of errors as the decoders
        return 1


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """`(width, height)` before any rotation; Pillow swaps those of a TIFF when it opens it."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        return tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength]
    return image.size


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB: 16-bit scaled to its full range, transparency put on white."""
    if image.mode in SIXTEEN_BIT_MODES:
        scaled = np.clip(np.asarray(image, dtype=np.float64) / 257, 0, 255).round()
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        scale = 255 if values.max(initial=0) <= 1 else 1
        scaled = np.clip(values * scale, 0, 255).round()
        return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


class LeastImage(NamedTuple):
    """The smallest image that will do; the usual one is the whole."""

    pixels: float = math.inf  # H · W
    side: float = math.inf  # of the shorter side, in pixels


def read_image(path: AnyImage, max_megapixels: float = MAX_MEGAPIXELS) -> torch.Tensor:
    """Read an image as uint8 [3, H, W], upright.

    The rotation in the EXIF data is applied; data that cannot be read count as none. Grey, palette,
    CMYK and 16-bit images (0 to 65535) become RGB; transparent pixels show white.

    Raises:
        BrokenSampleError: the file is missing, truncated, not an image, or has more than
            `max_megapixels`.
    """
    with opened(path, max_megapixels) as image:
        return _upright_pixels(image)


def read_reduced(
    path: AnyImage, size: Size, max_megapixels: float = MAX_MEGAPIXELS
) -> torch.Tensor:
    """`read_image` for one who resizes to `size` (H, W): a large JPEG is decoded at reduced size.

    Of a JPEG of more than `LARGE` pixels a half, a quarter or an eighth of the size is decoded,
    twice `size` at least; any other image is read as it is.

    Raises: as `read_image`.
    """
    with opened(path, max_megapixels) as image:
        if image.width * image.height > LARGE:
            height, width = size[::-1] if _orientation(image) in TURNED else size
            image.draft(None, (2 * width, 2 * height))
        return _upright_pixels(image)


def read_at_least(
    path: AnyImage, least: LeastImage, max_megapixels: float = MAX_MEGAPIXELS
) -> torch.Tensor:
    """`read_image` for one who needs no more than the `least` image.

    The sides of a JPEG are decoded at an eighth, a quarter or a half where that leaves so much; any
    other image is read as it is.

    Raises: as `read_image`.
    """
    with opened(path, max_megapixels) as image:
        width, height = image.size
        for part in (8, 4, 2):
            enough = width * height >= least.pixels * part**2
            if enough and min(width, height) >= least.side * part:
                image.draft(None, (width // part, height // part))
                break
        return _upright_pixels(image)


def _upright_pixels(image: Image.Image) -> torch.Tensor:
    """An opened image decoded, turned upright and converted: uint8 [3, H, W]."""
    load(image)
    # Not `ImageOps.exif_transpose`: it writes the EXIF data anew, which fails on odd ones.
    # A TIFF is upright once loaded and says so.
    method = UPRIGHT.get(_orientation(image))
    upright = image if method is None else image.transpose(method)
    pixels = np.asarray(to_rgb(upright)).transpose(2, 0, 1)
    return torch.from_numpy(pixels.copy())


def read_image_size(path: AnyImage, max_megapixels: float = MAX_MEGAPIXELS) -> Size:
    """`(H, W)` that `read_image` would give, from the header alone.

    Raises:
        BrokenSampleError: the file is missing, not an image, or has more than `max_megapixels`.
    """
    with opened(path, max_megapixels) as image:
        width, height = _stored_size(image)
        return (width, height) if _orientation(image) in TURNED else (height, width)


def read_label_map(
    path: AnyImage,
    colors: Mapping[Color, int] | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> np.ndarray:
    """Read a mask as the ids it stores, int64 [H, W].

    Palette, 8-bit and 16-bit single-channel files hold the ids themselves. An RGB file is
    converted through `colors` (colour to id), if all of its colours are in there.

    Raises:
        BrokenSampleError: the file is missing, truncated, not an image, or has more than
            `max_megapixels`.
        UnknownClassError: an RGB mask with a colour outside `colors`, or with none given.
        ValueError: a JPEG file or half-transparent pixels, where ids are not exact.
    """
    with opened(path, max_megapixels) as image:
        load(image)
    if image.format == "JPEG":
        raise ValueError(f"{path}: a JPEG mask has no exact ids; store masks as PNG")
    if image.mode in ("RGB", "RGBA", "LA"):
        return _color_ids(path, _opaque(path, image), colors)
    if image.mode not in ("P", "L", "1", *SIXTEEN_BIT_MODES):
        raise ValueError(f"{path}: mode {image.mode} masks are not supported; store 8-bit PNG")
    return np.array(image, dtype=np.int64)


def read_panoptic_ids(path: AnyImage) -> np.ndarray:
    """Read the segment ids of a COCO panoptic PNG, R + 256 G + 256² B, as int64 [H, W]."""
    with opened(path) as image:
        load(image)
    if image.mode != "RGB":
        raise ValueError(f"{path}: a panoptic PNG is RGB, this is {image.mode}")
    pixels = np.array(image, dtype=np.int64)
    return pixels[..., 0] + 256 * pixels[..., 1] + 65536 * pixels[..., 2]


def _opaque(path: AnyImage, image: Image.Image) -> np.ndarray:
    """The colour channels of a mask, uint8 [H, W, 1 or 3]; refuses transparency."""
    pixels = np.array(image)
    if image.mode == "RGB":
        return pixels
    if (pixels[..., -1] != 255).any():
        raise ValueError(f"{path}: transparent pixels have no id; store an opaque mask")
    return pixels[..., :-1]


def _color_ids(
    path: AnyImage, pixels: np.ndarray, colors: Mapping[Color, int] | None
) -> np.ndarray:
    if pixels.shape[-1] == 1:
        return pixels[..., 0].astype(np.int64)
    if colors is None:
        raise UnknownClassError(
            f"{path} is an RGB mask; this data set stores ids in one channel (check that it is "
            "the id file and not a colour picture of it)"
        )
    packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    present, inverse = np.unique(packed, return_inverse=True)
    known = {(r << 16) + (g << 8) + b: index for (r, g, b), index in colors.items()}
    unknown = [int(code) for code in present if int(code) not in known]
    if unknown:
        color = (unknown[0] >> 16, unknown[0] >> 8 & 255, unknown[0] & 255)
        advice = "store ids in one channel or use the palette's exact colours"
        if set(present.tolist()) <= {0x000000, 0xFFFFFF}:
            advice = "for black and white masks set dataset.binary=true, or store 0 and 1"
        raise UnknownClassError(
            f"{path} is an RGB mask with colour {color}, which is not in the palette of the data "
            f"set; {advice}"
        )
    ids = np.array([known[int(code)] for code in present], dtype=np.int64)
    return ids[inverse].reshape(packed.shape)
