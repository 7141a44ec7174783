"""One photograph as a data set: the same crops every time, none of them beyond its borders."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data.errors import BrokenSampleError
from leopart_kit.image_level.data.single_image import (
    CropSettings,
    cut_frame,
    random_frame,
    single_image,
)
from tests.data.image_writers import truncate, write_image

PLAIN = {
    "rotation": 0.0,
    "shear": 0.0,
    "flip_probability": 0.0,
    "jitter_probability": 0.0,
    "aspect_ratio": [1.0, 1.0],
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """160 x 120 pixels of smooth noise."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(path)
    return path


def test_a_crop_depends_on_seed_and_number_alone(photo: Path):
    dataset = single_image(photo, length=20, crops=CropSettings(size=24))
    expected = [dataset.load_image(i) for i in (3, 11)]
    torch.manual_seed(99)
    torch.rand(5)
    again = pickle.loads(pickle.dumps(single_image(photo, length=500, crops=CropSettings(size=24))))
    assert torch.equal(again.load_image(11), expected[1])
    assert torch.equal(again.load_image(3), expected[0])
    assert not torch.equal(expected[0], expected[1])
    other = single_image(photo, length=20, seed=1, crops=CropSettings(size=24))
    assert not torch.equal(other.load_image(3), expected[0])
    assert dataset.load_image(3).shape == (3, 24, 24)
    assert dataset.load_image(3).dtype == torch.uint8


def test_drawing_leaves_the_global_generator_alone(photo: Path):
    dataset = single_image(photo, length=3)
    before = torch.get_rng_state()
    dataset.load_image(0)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_a_data_set_like_the_others(photo: Path):
    dataset = single_image(photo, length=12)
    assert len(dataset) == 12
    assert dataset.names[3] == "photo/03"
    assert dataset.image_path(3) == photo
    assert dataset.image_size(0) == (32, 32)
    image, mask, name = dataset[11]
    assert (mask, name) == (None, "photo/11")
    assert dataset.notes[0] == "12 random crops of photo.png (160 x 120 pixels)"
    part = dataset.spread(3)
    assert part.names == ("photo/00", "photo/06", "photo/11")
    assert torch.equal(part.load_image(2), image)
    assert torch.equal(part.spread(1).load_image(0), dataset.load_image(0))


def test_the_fingerprint_follows_the_file_and_every_setting(photo: Path):
    prints = {
        single_image(photo, length=5).fingerprint(),
        single_image(photo, length=6).fingerprint(),
        single_image(photo, length=5, seed=1).fingerprint(),
        single_image(photo, length=5, crops=CropSettings(rotation=10.0)).fingerprint(),
    }
    assert len(prints) == 4
    assert single_image(photo, length=5).fingerprint() in prints
    write_image(photo, (120, 160))
    assert single_image(photo, length=5).fingerprint() not in prints


@given(
    st.integers(0, 2**31),
    st.integers(4, 300),
    st.integers(4, 300),
    st.floats(0.01, 1),
    st.floats(0, 180),
    st.floats(0, 75),
)
def test_all_corners_lie_inside_the_image(
    seed: int, height: int, width: int, window: float, rotation: float, shear: float
):
    settings = CropSettings(window=window, rotation=rotation, shear=shear)
    frame = random_frame(height, width, settings, torch.Generator().manual_seed(seed))
    corners = torch.tensor([[u, v, 1.0] for u in (-1, 1) for v in (-1, 1)], dtype=torch.float64)
    x, y = (frame @ corners.T).unbind()
    assert x.min() >= -1e-9
    assert y.min() >= -1e-9
    assert x.max() <= width + 1e-9
    assert y.max() <= height + 1e-9


def test_the_area_is_that_of_the_centre_of_a_crop_of_the_window():
    """Rotation and shear keep areas: a share of 0.36 of a 50 pixel square, its half for √2."""
    settings = CropSettings(window=0.5, scale=(0.36, 0.36), rotation=25, shear=20)
    for seed in range(20):
        frame = random_frame(100, 400, settings, torch.Generator().manual_seed(seed))
        area = 4 * abs(float(torch.linalg.det(frame[:, :2])))
        assert area == pytest.approx(0.36 * 50**2 / 2)


def test_angles_stay_within_their_ranges():
    settings = CropSettings(rotation=30, shear=0, flip_probability=0)
    angles = []
    for seed in range(200):
        frame = random_frame(200, 200, settings, torch.Generator().manual_seed(seed))
        angles.append(math.degrees(math.atan2(frame[1, 0], frame[0, 0])))
    assert -30 <= min(angles) < -24
    assert 24 < max(angles) <= 30


def test_an_upright_frame_is_cut_pixel_by_pixel():
    image = torch.randint(0, 256, (3, 9, 11), dtype=torch.uint8)
    # x from 2 to 6 and y from 3 to 7: centre (4, 5), half a side 2.
    frame = torch.tensor([[2.0, 0.0, 4.0], [0.0, 2.0, 5.0]], dtype=torch.float64)
    crop = cut_frame(image, frame, 4)
    torch.testing.assert_close(crop * 255, image[:, 3:7, 2:6].float(), atol=1e-3, rtol=0)
    mirrored = cut_frame(image, frame * torch.tensor([-1.0, 1.0, 1.0]), 4)
    torch.testing.assert_close(mirrored, crop.flip(2))


def test_a_quarter_turn_turns_the_pixels():
    image = torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)
    upright = torch.tensor([[4.0, 0.0, 4.0], [0.0, 4.0, 4.0]], dtype=torch.float64)
    turned = torch.tensor([[0.0, -4.0, 4.0], [4.0, 0.0, 4.0]], dtype=torch.float64)
    expected = torch.rot90(cut_frame(image, upright, 8), 1, dims=(1, 2))
    torch.testing.assert_close(cut_frame(image, turned, 8), expected, atol=1e-5, rtol=0)


def test_large_frames_are_averaged_and_not_sampled():
    """A checkerboard of single pixels is grey from afar."""
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255
    image = board.to(torch.uint8).expand(3, 64, 64)
    frame = torch.tensor([[32.0, 0.0, 32.0], [0.0, 32.0, 32.0]], dtype=torch.float64)
    crop = cut_frame(image, frame, 8)
    assert (crop - 0.5).abs().max() < 0.05


def test_without_changes_of_colour_a_flat_photo_stays_flat(tmp_path: Path):
    write_image(tmp_path / "flat.png", (60, 80), value=77)
    dataset = single_image(tmp_path, length=4, crops=CropSettings(**PLAIN, size=8))
    assert all((dataset.load_image(i) == 77).all() for i in range(4))
    changed = single_image(tmp_path, length=8, crops=CropSettings(size=8, jitter_probability=1.0))
    assert any((changed.load_image(i) != 77).any() for i in range(8))


def test_small_photos_are_said_to_be_enlarged(tmp_path: Path):
    write_image(tmp_path / "small.png", (40, 40))
    dataset = single_image(tmp_path, length=2, crops=CropSettings(size=32))
    assert "14 pixels" in dataset.notes[1]


def test_what_is_no_single_image(photo: Path, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        single_image(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="'train'"):
        single_image(photo, "train")
    write_image(tmp_path / "second.png")
    with pytest.raises(ValueError, match="holds 2 images"):
        single_image(tmp_path)
    truncate(photo)
    with pytest.raises(BrokenSampleError, match=r"photo\.png"):
        single_image(photo, length=2).load_image(0)
