"""Images beyond the limit of Pillow are read, at reduced size where one resizes anyway."""

from __future__ import annotations

import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data import center_crops, folder_images, load_dataset
from leopart_kit.data import image_files as files
from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.image_level.data.loading import load_classification
from tests.data.image_writers import write_image, write_mask

SIDES = (13_000, 14_000)  # 182 million pixels


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 182 megapixels, dark above bright."""
    folder = tmp_path_factory.mktemp("large")
    picture = Image.new("L", (SIDES[1], SIDES[0]), 40)
    picture.paste(200, (0, SIDES[0] // 2, SIDES[1], SIDES[0]))
    picture.save(folder / "a.jpg", quality=30)
    return folder / "a.jpg"


def claims(path: Path, width: int, height: int) -> Path:
    """A PNG whose header is right and names a size that its data do not have."""
    write_image(path)
    content = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", width, height) + content[24:29]
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
    return path


def test_a_photograph_of_182_megapixels_becomes_features(photograph: Path):
    dataset = folder_images(photograph.parent)
    assert dataset.image_size(0) == SIDES
    before = Image.MAX_IMAGE_PIXELS
    image = dataset.load_reduced(0, (448, 448))
    assert image.shape == (3, 1625, 1750)
    resized = resize_image(image, (448, 448))
    assert (resized[:, :220].float() - 40).abs().max() <= 2
    assert (resized[:, 228:].float() - 200).abs().max() <= 2
    crop = center_crops(dataset, 32).load_image(0)
    assert crop.shape == (3, 32, 32)
    assert before == Image.MAX_IMAGE_PIXELS


def test_the_limit_is_a_setting(photograph: Path, tmp_path: Path):
    small = load_dataset("folder", photograph.parent, "all", max_megapixels=181)
    for read in (small.load_image, small.image_size, lambda i: small.load_reduced(i, (8, 8))):
        with pytest.raises(BrokenSampleError, match=r"a\.jpg .*max_megapixels=181"):
            read(0)
    write_image(tmp_path / "train/cat/a.png", (30, 40))
    write_image(tmp_path / "train/cat/b.png", (20, 20))
    for limit, num_good in ((0.0012, 2), (0.001, 1)):
        options: dict[str, Any] = {"max_megapixels": limit}
        images = load_classification("image_folder_classes", tmp_path, "train", **options).images
        trained_on = load_dataset("image_folder_classes", tmp_path, "train", **options)
        assert [num_readable(images), num_readable(trained_on)] == [num_good, num_good]


def num_readable(dataset) -> int:
    good = 0
    for index in range(len(dataset)):
        try:
            dataset.load_image(index)
            good += 1
        except BrokenSampleError:
            pass
    return good


def test_masks_have_the_same_limit(tmp_path: Path):
    write_image(tmp_path / "images/a.png", (30, 40))
    write_mask(tmp_path / "masks/a.png", np.eye(30, 40))
    mask = load_dataset("folder", tmp_path, "all", max_megapixels=0.0012).load_mask(0)
    assert mask is not None
    with pytest.raises(BrokenSampleError, match=r"masks/a\.png"):
        load_dataset("folder", tmp_path, "all", max_megapixels=0.0011).load_mask(0)


@pytest.mark.parametrize("limit", [0, -1, None, "5", True, float("nan")])
@pytest.mark.parametrize("name", ["folder", "image_folder_classes", "single_image"])
def test_a_limit_is_a_number_above_zero(tmp_path: Path, name: str, limit: object):
    write_image(tmp_path / "train/cat/a.png")
    root = tmp_path / "train/cat/a.png" if name == "single_image" else tmp_path
    split = "train" if name == "image_folder_classes" else "all"
    with pytest.raises(ValueError, match="max_megapixels"):
        load_dataset(name, root, split, max_megapixels=limit)


def test_beyond_a_gigapixel_only_the_header_is_read(tmp_path: Path):
    path = claims(tmp_path / "a.png", 40_000, 26_000)
    for read in (files.read_image, files.read_image_size, files.read_label_map):
        with pytest.raises(BrokenSampleError, match=r"a\.png"):
            read(path)
    with pytest.raises(BrokenSampleError, match=r"a\.png"):
        files.read_reduced(path, (448, 448))


@settings(max_examples=30)
@given(
    # Blocks of 8: the part of one at the border of so small an image would shift the whole.
    size=st.tuples(st.integers(5, 11), st.integers(5, 11)).map(lambda s: (8 * s[0], 8 * s[1])),
    target=st.tuples(st.integers(3, 30), st.integers(3, 30)),
    orientation=st.integers(1, 8),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
)
def test_reduced_is_twice_the_target_at_least_and_shows_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    target: tuple[int, int],
    orientation: int,
    mode: str,
):
    path = tmp_path_factory.getbasetemp() / "reduced.jpg"
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = np.stack([rows * 2, columns * 2, rows + columns], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(waves).convert(mode).save(path, quality=95, exif=exif)
    whole = files.read_image(path)
    assert torch.equal(files.read_reduced(path, target), whole)  # an ordinary image
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "LARGE", 100)
        reduced = files.read_reduced(path, target)
    height, width = reduced.shape[1:]
    assert all(
        got == whole_side or got >= 2 * wanted
        for got, whole_side, wanted in zip((height, width), whole.shape[1:], target, strict=True)
    )
    apart = resize_image(reduced, target).float() - resize_image(whole, target).float()
    assert apart.abs().mean() < 4


def test_threads_leave_the_limit_of_pillow_as_it_was(tmp_path: Path):
    paths = [write_image(tmp_path / f"{i}.png") for i in range(8)]
    before = Image.MAX_IMAGE_PIXELS
    threads = [
        threading.Thread(target=lambda p=path: [files.read_image(p) for _ in range(20)])
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS
