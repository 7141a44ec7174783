"""Images and masks of every mode are read into one form; broken files are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from leopart_kit.data.image_files import (
    read_image,
    read_image_size,
    read_label_map,
    read_panoptic_ids,
)
from leopart_kit.data.label_sets import color_ids
from leopart_kit.data.palettes import voc_colormap
from tests.data.image_writers import truncate, write_image, write_mask


def test_read_image_is_channels_first_rgb(tmp_path: Path):
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == torch.uint8
    assert image.tolist() == [[[255, 0, 0]], [[0, 255, 0]], [[0, 0, 255]]]


ORIENTED = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def blocks(values: list[list[int]]) -> np.ndarray:
    """Grey squares of 8 pixels, which a JPEG keeps."""
    return np.kron(np.array(values), np.full((8, 8), 40)).astype(np.uint8)


def write_blocks(path: Path, orientation: int = 1, **options: object) -> Path:
    """The first of `ORIENTED` with that orientation in its EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(blocks(ORIENTED[1])).save(path, **{"exif": exif, **options})
    return path


def assert_reads_as(path: Path, values: list[list[int]]) -> None:
    expected = blocks(values)
    pixels = read_image(path).numpy()
    assert pixels.shape == (3, *expected.shape)
    assert np.abs(pixels.astype(int) - expected).max() <= 3
    assert read_image_size(path) == expected.shape


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_exif_rotation_is_applied(tmp_path: Path, suffix: str, orientation: int):
    lossless = {"lossless": True} if suffix == "webp" else {}
    path = write_blocks(tmp_path / f"a.{suffix}", orientation, **lossless)
    assert_reads_as(path, ORIENTED[orientation])


@pytest.mark.parametrize("orientation", [3, 6])
def test_rotation_of_a_compressed_tiff_and_of_one_with_xmp(tmp_path: Path, orientation: int):
    path = write_blocks(tmp_path / "lzw.tiff", orientation, compression="tiff_lzw")
    assert_reads_as(path, ORIENTED[orientation])
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[700] = 1
    tags[700] = b'<rdf:Description tiff:Orientation="%d"/>' % orientation
    Image.fromarray(blocks(ORIENTED[1])).save(tmp_path / "xmp.tiff", tiffinfo=tags)
    assert_reads_as(tmp_path / "xmp.tiff", ORIENTED[orientation])


def exif_with_text(tag: int) -> bytes:
    """EXIF data with orientation 6 and, as text, a tag of a higher number that should be one."""
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    text = struct.pack("<HHI4s", tag, 2, 4, b"abc")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + orientation + text + bytes(4)


@pytest.mark.parametrize("tag", [0x0128, 0x0213])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_rotation_beside_a_tag_of_another_type(tmp_path: Path, suffix: str, tag: int):
    path = write_blocks(tmp_path / f"a.{suffix}", exif=exif_with_text(tag))
    assert_reads_as(path, ORIENTED[6])


@pytest.mark.parametrize("garbage", [b"no exif at all", b"Exif\0\0II*\0", b"Exif\0\0MM"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_that_cannot_be_read_leaves_the_image_as_stored(
    tmp_path: Path, suffix: str, garbage: bytes
):
    lossless = {"lossless": True} if suffix == "webp" else {}
    path = write_blocks(tmp_path / f"a.{suffix}", exif=garbage, **lossless)
    assert_reads_as(path, ORIENTED[1])


def test_a_tiff_whose_xmp_pillow_gives_up_on_is_named(tmp_path: Path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[700] = 2
    tags[700] = "XMP as text, where bytes belong"
    Image.new("RGB", (3, 2)).save(tmp_path / "a.tiff", tiffinfo=tags)
    with pytest.raises(BrokenSampleError, match=r"a\.tiff"):
        read_image(tmp_path / "a.tiff")


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path):
    Image.fromarray(np.array([[0, 257 * 200, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 200, 255]]] * 3


def test_float_tiff_from_zero_to_one(tmp_path: Path):
    Image.fromarray(np.array([[0.0, 0.2, 1.0]], dtype=np.float32)).save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff")[2].tolist() == [[0, 51, 255]]


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str):
    suffix = "tiff" if mode == "CMYK" else "png"
    Image.new("RGB", (3, 2), (255, 255, 255)).convert(mode).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.shape == (3, 2, 3)
    assert (image == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_white(tmp_path: Path, mode: str):
    color = (10, 20, 30, 0) if mode == "RGBA" else (10, 0)
    image = Image.new(mode, (2, 1), color)
    image.putpixel((0, 0), (*color[:-1], 255))
    image.save(tmp_path / "a.png")
    left, right = read_image(tmp_path / "a.png").permute(1, 2, 0)[0].tolist()
    assert left == ([10, 20, 30] if mode == "RGBA" else [10, 10, 10])
    assert right == [255, 255, 255]


def test_truncated_jpeg_is_named(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.jpg")
    truncate(tmp_path / "half.jpg")
    with pytest.raises(BrokenSampleError, match=r"half\.jpg"):
        read_image(tmp_path / "half.jpg")


def test_missing_image_and_text_file_are_named(tmp_path: Path):
    with pytest.raises(BrokenSampleError, match=r"gone\.jpg"):
        read_image(tmp_path / "gone.jpg")
    (tmp_path / "note.jpg").write_text("not an image")
    with pytest.raises(BrokenSampleError, match=r"note\.jpg"):
        read_image(tmp_path / "note.jpg")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), suffix=st.sampled_from(["png", "jpg"]))
def test_damaged_files_read_or_name_themselves(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
):
    path = write_image(tmp_path_factory.mktemp("fuzz") / f"a.{suffix}")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    message = str(path)
    try:
        assert read_image(path).shape[0] == 3
    except BrokenSampleError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message


def test_label_map_reads_palette_indices_not_colours(tmp_path: Path):
    ids = [[0, 15, 255], [20, 1, 0]]
    for palette in (True, False):
        mask = read_label_map(write_mask(tmp_path / "m.png", ids, palette))
        assert mask.dtype == np.int64
        assert mask.tolist() == ids


def test_label_map_sixteen_bit(tmp_path: Path):
    Image.fromarray(np.array([[0, 300, 65535]], dtype=np.uint16)).save(tmp_path / "m.png")
    assert read_label_map(tmp_path / "m.png").tolist() == [[0, 300, 65535]]


def test_rgb_mask_goes_through_the_palette(tmp_path: Path):
    ids = np.array([[0, 15, 255], [20, 1, 7]])
    Image.fromarray(voc_colormap()[ids]).save(tmp_path / "m.png")
    assert read_label_map(tmp_path / "m.png", color_ids(voc_colormap())).tolist() == ids.tolist()


def test_rgb_mask_with_a_foreign_colour_is_an_error(tmp_path: Path):
    Image.fromarray(np.array([[[0, 0, 0], [1, 2, 3]]], dtype=np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(UnknownClassError, match=r"m\.png.*2"):
        read_label_map(tmp_path / "m.png", color_ids(voc_colormap()))
    with pytest.raises(UnknownClassError, match=r"m\.png"):
        read_label_map(tmp_path / "m.png")


def test_inexact_masks_are_refused(tmp_path: Path):
    Image.new("L", (4, 4)).save(tmp_path / "m.jpg")
    with pytest.raises(ValueError, match=r"m\.jpg"):
        read_label_map(tmp_path / "m.jpg")
    Image.new("RGBA", (4, 4), (0, 0, 0, 9)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png"):
        read_label_map(tmp_path / "m.png", color_ids(voc_colormap()))


def test_panoptic_ids(tmp_path: Path):
    Image.fromarray(np.array([[[1, 2, 3], [0, 0, 0]]], dtype=np.uint8)).save(tmp_path / "p.png")
    assert read_panoptic_ids(tmp_path / "p.png").tolist() == [[1 + 2 * 256 + 3 * 65536, 0]]
