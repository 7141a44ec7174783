"""Images of any format, damaged in any way and under any name, are read or named; nothing waits."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data import class_histogram, load_dataset
from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.data.image_files import (
    read_image,
    read_image_size,
    read_label_map,
    read_panoptic_ids,
)
from leopart_kit.evaluation.protocols.predictions.folder import read_prediction
from tests.data.image_writers import flat, write_image, write_mask

# Pillow warns of many a damage, too.
pytestmark = pytest.mark.filterwarnings("ignore")

SIDE = 24
# Format, mode and options; those that a build of Pillow cannot write are left out.
WRITTEN = [
    ("PNG", "RGB", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    ("PNG", "RGBA", {}),
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "F", {"compression": "tiff_deflate"}),
    ("BMP", "RGB", {}),
    ("BMP", "1", {}),
    ("GIF", "P", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("AVIF", "RGB", {}),
    ("DDS", "RGB", {}),
    ("DDS", "RGBA", {"pixel_format": "DXT5"}),
    ("PPM", "RGB", {}),
    ("JPEG2000", "RGB", {}),
    ("ICO", "RGBA", {}),
    ("ICNS", "RGBA", {}),
    ("TGA", "RGB", {"compression": "tga_rle"}),
    ("PCX", "RGB", {}),
    ("SGI", "RGB", {}),
    ("QOI", "RGB", {}),
    ("BLP", "P", {}),
    ("IM", "RGB", {}),
    ("MSP", "1", {}),
    ("SPIDER", "F", {}),
    ("XBM", "1", {}),
    ("MPO", "RGB", {}),
]
SUFFIXES = ["jpg", "png", "tif", "webp", "bmp", "ppm"]
READERS: list[Callable[[Path], object]] = [
    lambda path: read_image(path, max_megapixels=4),
    lambda path: read_image_size(path, max_megapixels=4),
    lambda path: read_label_map(path, {(0, 0, 0): 0}, max_megapixels=4),
]


@cache
def contents() -> list[bytes]:
    """A small noisy picture in every format."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    written = []
    for kind, mode, options in WRITTEN:
        buffer = io.BytesIO()
        picture = Image.fromarray(noise)
        try:
            if mode == "I;16":
                picture = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
            picture.convert(mode).save(buffer, kind, **options)
        except (KeyError, OSError, ValueError):
            continue
        written.append(buffer.getvalue())
    return written


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with bytes changed, its end cut off, or its head put on another's body."""
    content = bytearray(draw(st.sampled_from(contents())))
    # What makes decoders fail in odd ways stands in the head.
    place = st.integers(0, len(content) - 1) | st.integers(0, min(80, len(content) - 1))
    for _ in range(draw(st.integers(0, 6))):
        content[draw(place)] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        other = draw(st.sampled_from(contents()))
        cut = draw(st.integers(0, 60))
        content[:cut] = other[:cut]
    if draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    return bytes(content)


def refusal(read: Callable[[Path], object], path: Path) -> ValueError | None:
    try:
        read(path)
    except ValueError as error:
        return error
    return None


@settings(max_examples=200)
@given(content=damaged(), suffix=st.sampled_from(SUFFIXES))
def test_damaged_images_are_read_or_name_themselves(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
):
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    is_small = refusal(READERS[1], path) is None
    for read in (*READERS, *([read_panoptic_ids, read_prediction] if is_small else [])):
        if (error := refusal(read, path)) is not None:
            assert str(path) in str(error)
            assert str(error).isprintable()
    if refusal(READERS[0], path) is None:
        assert read_image(path).shape[1:] == read_image_size(path)


def test_a_head_that_claims_gigabytes_is_not_believed(tmp_path: Path):
    buffer = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(buffer, "GIF")
    content = bytearray(buffer.getvalue())
    content[6:10] = b"\0\x70" * 2  # a canvas of 28,672 x 28,672 pixels
    (tmp_path / "a.gif").write_bytes(content)
    for read in (read_image, read_image_size, read_label_map, read_panoptic_ids):
        with pytest.raises(BrokenSampleError, match=r"a\.gif"):
            read(tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><title>404</title>", "web"),
        (b"", "empty"),
        (b"plain text", "not an image"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(tmp_path: Path, content: bytes, what: str):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(BrokenSampleError, match=rf"a\.jpg .*{what}"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("index", range(len(WRITTEN)))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_half_a_file_is_no_error_of_another_kind(tmp_path: Path, index: int, share: float):
    if index >= len(contents()):
        pytest.skip("this build of Pillow writes fewer formats")
    content = contents()[index]
    path = tmp_path / "half.jpg"
    path.write_bytes(content[: int(share * len(content))])
    error = refusal(read_image, path)
    assert error is None or isinstance(error, BrokenSampleError)


def not_regular(folder: Path, name: str) -> None:
    """A pipe, a socket, a device, a link to nothing and one to itself that are called images."""
    os.mkfifo(folder / f"{name}0.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / f"{name}1.png"))
    (folder / f"{name}2.png").symlink_to("/dev/zero")
    (folder / f"{name}3.png").symlink_to(folder / "gone.png")
    (folder / f"{name}4.png").symlink_to(folder / f"{name}4.png")


@pytest.mark.parametrize("read", [*READERS, read_panoptic_ids, read_prediction])
def test_only_regular_files_are_opened(tmp_path: Path, read: Callable[[Path], object]):
    not_regular(tmp_path, "odd")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(BrokenSampleError, match=path.name):
            read(path)


@pytest.mark.parametrize("named", [True, False])
def test_a_broken_mask_is_left_out_with_and_without_names_of_classes(tmp_path: Path, named: bool):
    for number in range(3):
        write_image(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", flat(number))
    (tmp_path / "masks/1.png").write_bytes(b"")
    not_regular(tmp_path / "images", "x")
    not_regular(tmp_path / "masks", "x")
    if named:
        (tmp_path / "classes.txt").write_text("class 0\nclass 1\nclass 2\n")
    dataset = load_dataset("folder", tmp_path, "all")
    assert dataset.num_classes == 3
    labels = class_histogram(dataset)
    assert [dataset.names[i] for i in labels.usable] == ["0", "2"]
    assert [dataset.names[i] for i in labels.broken] == ["1", "x0", "x1", "x2", "x3", "x4"]
    assert len(dataset.fingerprint()) == 64
    for number in (0, 2):
        (tmp_path / f"masks/{number}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"0\.png"):
        class_histogram(load_dataset("folder", tmp_path, "all"))


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path = write_image(tmp_path / "a.png")
    path.chmod(0)
    with pytest.raises(BrokenSampleError, match=r"a\.png"):
        read_image(path)
