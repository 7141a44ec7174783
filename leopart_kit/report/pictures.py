"""Photos and label maps as data URIs, so that the page is one file."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from leopart_kit.drawing import colour_labels, fit_labels

MAX_SIDE = 640
_SMALL_QUALITY = 68


def photo_uri(image: np.ndarray) -> str:
    """uint8 RGB `[H, W, 3]` as a JPEG data URI, the longer side at most 640 pixels."""
    height, width = shrunk_size(*image.shape[:2])
    picture = Image.fromarray(image)
    if (height, width) != image.shape[:2]:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _uri(picture, "JPEG", quality=82, optimize=True)


def label_uri(labels: np.ndarray, palette: np.ndarray) -> str:
    """Integer labels `[H, W]` as a PNG data URI, the longer side at most 640 pixels.

    Labels outside `0 … len(palette) − 1` belong to no class; they are hatched in grey.
    """
    return _uri(
        Image.fromarray(colour_labels(shrink_labels(labels), palette)), "PNG", optimize=True
    )


def alpha_uri(shares: np.ndarray, colour: tuple[int, int, int]) -> str:
    """Shares 0 to 1 `[H, W]` as a PNG of one colour with the share as its opacity."""
    rgba = np.empty((*shares.shape, 4), dtype=np.uint8)
    rgba[..., :3] = colour
    rgba[..., 3] = np.round(shares * 255)
    return _uri(Image.fromarray(rgba), "PNG", optimize=True)


def webp_uri(image: np.ndarray, size: tuple[int, int]) -> str:
    """uint8 RGB `[H, W, 3]` as a small WebP data URI of `(width, height)`."""
    picture = Image.fromarray(image)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _uri(picture, "WEBP", quality=_SMALL_QUALITY, method=4)


def bytes_text(values: np.ndarray) -> str:
    """The bytes of an array as base64, as the scripts of pages read them."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def css_colour(colour: np.ndarray) -> str:
    """A row of a palette as a CSS colour."""
    return "#" + bytes(colour.tolist()).hex()


def shrunk_size(height: int, width: int) -> tuple[int, int]:
    """`(H, W)` with the longer side at most 640 pixels, the aspect kept."""
    scale = min(1.0, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink_labels(labels: np.ndarray) -> np.ndarray:
    """Nearest-neighbour resize to the size of the picture, sampled at pixel centres."""
    return fit_labels(labels, shrunk_size(*labels.shape))


def _uri(picture: Image.Image, kind: str, **options: bool | int) -> str:
    buffer = BytesIO()
    picture.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
