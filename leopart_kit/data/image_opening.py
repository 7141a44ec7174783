"""Opening image files of any content: whatever a decoder raises becomes an error with the name."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.identity.files import file_size
from leopart_kit.identity.stored import AnyFile, StoredFile
from leopart_kit.input_files import as_path, check_regular

AnyImage = AnyFile | os.PathLike[str]
"""The file of an image, or one inside of another."""

MAX_MEGAPIXELS = 1000.0
"""Default limit of an image's size in millions of pixels; reading so many takes about 10 GB."""

LARGE = 1024**3 // 12
"""Pixels from which on Pillow warns of decompression bombs: 89 million."""

# Of one colour, PNG packs 8,256 pixels of one bit into a byte. A damaged head of a few bytes would
# otherwise take gigabytes of memory.
_PIXELS_PER_BYTE = 10_000

_pillows_limit = threading.Lock()


@contextmanager
def opened(path: AnyImage, max_megapixels: float = MAX_MEGAPIXELS) -> Iterator[Image.Image]:
    """An image file, not decoded yet (see `load`); errors inside the block name the file too.

    Raises:
        BrokenSampleError: the file is missing, no regular file, not an image, damaged, or has
            more than `max_megapixels`.
    """
    path = path if isinstance(path, StoredFile) else str(as_path(path, "an image"))
    try:
        with _stream(path) as file, _open(file) as image:
            _check_size(path, image.size, file_size(path), max_megapixels)
            yield image
    except BrokenSampleError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenSampleError(f"{path} {_what_instead(path)}") from error
    except Exception as error:  # decoders raise a dozen kinds, RuntimeError and MemoryError too
        if isinstance(error, OSError) and error.errno is not None:
            raise BrokenSampleError(f"{path} cannot be read: {error.strerror}") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BrokenSampleError(
            f"{path} cannot be decoded ({reason}); copy it again or remove it"
        ) from error


def check_megapixels(value: object) -> float:
    """A limit as a number; `ValueError` for what is no number above 0."""
    if type(value) not in (int, float) or not value > 0:  # type: ignore[operator]
        raise ValueError(f"max_megapixels must be a number above 0, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def load(image: Image.Image) -> None:
    """Decode an opened image."""
    with _without_limit() if image.width * image.height > LARGE else nullcontext():
        image.load()


def _stream(path: AnyFile) -> BinaryIO:
    if isinstance(path, StoredFile):
        return io.BytesIO(path.read())
    _check_file(path)
    # By name, Pillow (13.0) maps raw grey TIFFs into memory and scrambles those on their side.
    return open(path, "rb")


def _check_file(path: str) -> None:
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise BrokenSampleError(f"{error}; restore it or remove its entry") from error
    except ValueError as error:
        raise BrokenSampleError(str(error)) from error


def _what_instead(path: AnyFile) -> str:
    """The kind of a file that no decoder knows, and what to do."""
    with _stream(path) as file:
        head = file.read(256).lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer and not an image; fetch the images with `git lfs pull`"
    if head.startswith((b"<!doctype", b"<html")):
        return "is a page of the web and not an image; download the image itself"
    if not head:
        return "is empty and not an image; replace or remove it"
    return "is not an image; replace or remove it"


def _open(file: BinaryIO) -> Image.Image:
    with _without_limit():
        return Image.open(file)


@contextmanager
def _without_limit() -> Iterator[None]:
    """Turn off the limit of Pillow, a global of the process that no argument replaces."""
    with _pillows_limit:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(
    path: AnyFile, size: tuple[int, int], num_bytes: int, max_megapixels: float
) -> None:
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise BrokenSampleError(
            f"{path} has {width} x {height} pixels ({width * height / 1e6:,.0f} million), more "
            f"than max_megapixels={max_megapixels:g}; set it higher, or remove or reduce the image"
        )
    if width * height > max(LARGE, num_bytes * _PIXELS_PER_BYTE):
        raise BrokenSampleError(
            f"{path} says that {num_bytes:,} bytes are {width} x {height} pixels, which cannot be; "
            "copy it again or remove it"
        )
    if min(size) < 1:
        raise BrokenSampleError(f"{path} has no pixels; copy it again or remove it")
