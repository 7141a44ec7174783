"""Centre crops: which pixels are kept, worked out by hand and against Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leopart_kit.data import BrokenSampleError, center_crops, class_histogram, load_dataset

IDS = np.arange(12, dtype=np.uint8).reshape(2, 6) % 4
"""Rows 0 1 2 3 0 1 and 2 3 0 1 2 3."""


def write(root: Path, pixels: np.ndarray, ids: np.ndarray, name: str = "a") -> None:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(root / "images" / f"{name}.png")
    Image.fromarray(ids).save(root / "masks" / f"{name}.png")
    (root / "classes.txt").write_text("a\nb\nc\nd\n")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pillow_crop(picture: np.ndarray, size: int, how: Image.Resampling) -> np.ndarray:
    """Shorter side to `size`, the longer one rounded down, the middle cut out."""
    image = Image.fromarray(picture)
    shorter = min(image.size)
    width, height = (int(size * side / shorter) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), how)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def test_the_middle_of_a_wide_image_by_hand(tmp_path: Path):
    pixels = noise(2, 6)
    write(tmp_path, pixels, IDS)
    dataset = load_dataset("folder", tmp_path, "all")
    image, mask, name = center_crops(dataset, 2)[0]
    assert name == "a"
    np.testing.assert_array_equal(image.permute(1, 2, 0), pixels[:, 2:4])
    assert mask is not None
    assert mask.tolist() == [[2, 3], [0, 1]]
    assert mask.dtype == torch.int64
    # Each pixel becomes 2 x 2; of 12 columns 4 to 7 are kept.
    crops = center_crops(dataset, 4)
    assert crops.load_mask(0).tolist() == [[2, 2, 3, 3]] * 2 + [[0, 0, 1, 1]] * 2  # type: ignore[union-attr]
    assert crops.image_size(0) == (4, 4)


@pytest.mark.parametrize("shape", [(37, 53), (60, 41), (24, 24)])
@pytest.mark.parametrize(
    ("interpolation", "how", "tolerance"),
    [("bilinear", Image.Resampling.BILINEAR, 1), ("nearest", Image.Resampling.NEAREST, 0)],
)
def test_crops_are_those_of_pillow(tmp_path: Path, shape, interpolation, how, tolerance):
    pixels = noise(*shape)
    ids = np.random.default_rng(1).integers(0, 4, shape, dtype=np.uint8)
    write(tmp_path, pixels, ids)
    crops = center_crops(load_dataset("folder", tmp_path, "all"), 24, interpolation)
    found = crops.load_image(0).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - pillow_crop(pixels, 24, how)).max() <= tolerance
    expected = pillow_crop(ids, 24, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(crops.load_mask(0), expected)


def test_images_and_masks_show_the_same_place(tmp_path: Path):
    ids = np.random.default_rng(1).integers(0, 4, (50, 70), dtype=np.uint8)
    write(tmp_path, np.stack([ids * 50] * 3, axis=2), ids)
    image, mask, _ = center_crops(load_dataset("folder", tmp_path, "all"), 20, "nearest")[0]
    assert mask is not None
    torch.testing.assert_close(image[0].long(), mask * 50)


def test_only_pixels_of_the_crops_are_counted(tmp_path: Path):
    write(tmp_path, noise(2, 6), IDS)
    labels = class_histogram(center_crops(load_dataset("folder", tmp_path, "all"), 2))
    assert labels.pixels.tolist() == [1, 1, 1, 1]


def test_a_mask_of_another_size_is_broken_although_the_crops_agree(tmp_path: Path):
    write(tmp_path, noise(8, 8), np.zeros((6, 9), np.uint8))
    crops = center_crops(load_dataset("folder", tmp_path, "all"), 4)
    with pytest.raises(BrokenSampleError, match="9 x 6"):
        crops.load_mask(0)


def test_images_without_masks_have_crops_without_masks(tmp_path: Path):
    write(tmp_path, noise(8, 8), np.zeros((8, 8), np.uint8))
    (tmp_path / "masks" / "a.png").unlink()
    assert center_crops(load_dataset("folder", tmp_path, "all"), 4)[0][1] is None


def test_what_is_cut_decides_the_identity(tmp_path: Path):
    for name in "abc":
        write(tmp_path, noise(8, 10), np.zeros((8, 10), np.uint8), name)
    dataset = load_dataset("folder", tmp_path, "all")
    crops = center_crops(dataset, 4)
    others = [dataset, center_crops(dataset, 6), center_crops(dataset, 4, "nearest")]
    assert len({item.fingerprint() for item in (crops, *others)}) == 4
    assert center_crops(load_dataset("folder", tmp_path, "all"), 4).fingerprint() == (
        crops.fingerprint()
    )
    assert center_crops(crops, 4) is crops, "crops are not cut twice"
    part = crops.spread(2)
    assert part.names == ("a", "c")
    assert part.load_image(1).shape == (3, 4, 4)
    assert any("centre crops of 4 x 4" in note for note in part.notes)


def test_a_side_below_one_pixel_is_refused(tmp_path: Path):
    write(tmp_path, noise(8, 8), np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match="got 0"):
        center_crops(load_dataset("folder", tmp_path, "all"), 0)
