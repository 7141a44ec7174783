"""Photographs larger than their views need: decoded at reduced size, and no view suffers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leopart_kit.data import (
    AnchoredTransform,
    ImagesOf,
    ImagesWith,
    ImagesWithTokens,
    MultiCropTransform,
    folder_images,
)
from leopart_kit.data.image_files import LeastImage, read_at_least, read_image
from leopart_kit.data.least_image import decoded_for, least_image
from leopart_kit.evaluation.scores.resizing import resize_image
from leopart_kit.image_level.data.image_views import OfImage, RandomViews, ViewSettings
from leopart_kit.image_level.methods.ibot import MaskedViews
from tests.cli.train_command import LEOPART, leopart_train

ORIENTATION = 0x0112


def write_waves(
    path: Path, height: int, width: int, orientation: int = 1, mode: str = "RGB"
) -> Path:
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([rows, columns, (rows + columns) // 2], -1) % 256
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(waves.astype(np.uint8)).convert(mode)
    image.save(path, quality=95, exif=exif)
    return path


def test_the_least_image_of_the_usual_views():
    # Sides of a box of a share s are √(s · H · W · 3/4) at least.
    usual = pytest.approx((224**2 / (0.25 * 0.75), 224))
    assert least_image([(96, 0.05), (224, 0.25)]) == usual
    assert MultiCropTransform().least_image == usual
    kinds = [ViewSettings(size=32, scale=(0.25, 1.0))]
    part = RandomViews(kinds, [0.5] * 3, [0.5] * 3, region=(0.5, 1.0))
    assert part.least_image == pytest.approx((32**2 / (0.5 * 0.25 * 0.75), 32))
    assert least_image([(32, 0.5)], (1.0, 4.0)) == pytest.approx((32**2 / (0.5 * 0.25), 32))


@settings(max_examples=60, deadline=None)
@given(
    side=st.integers(8, 40),
    share=st.floats(0.05, 0.9),
    low=st.floats(0.4, 1),
    high=st.floats(1, 2.5),
    enough=st.floats(1, 4),
    shape=st.floats(1 / 30, 30),
    seed=st.integers(0, 99),
)
def test_no_box_is_narrower_than_its_view_in_the_least_image(
    side: int, share: float, low: float, high: float, enough: float, shape: float, seed: int
):
    draw = MultiCropTransform(
        side,
        side,
        num_local=0,
        global_scale=(share, 1.0),
        aspect_ratio=(low, high),
        photometric=None,
        min_global_overlap=0.0,
    )
    least = draw.least_image
    sides = np.sqrt(enough * least.pixels * np.array([shape, 1 / shape]))
    height, width = (np.maximum(sides, least.side).astype(int) + 1).tolist()
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    boxes = draw(image, torch.Generator().manual_seed(seed)).crop_boxes
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= side - 1  # boxes are rounded


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)).map(lambda s: (8 * s[0], 8 * s[1])),
    share=st.floats(0.001, 1.5),
    side=st.integers(1, 200),
    orientation=st.integers(1, 8),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
)
def test_a_jpeg_is_decoded_as_small_as_is_enough_and_shows_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    share: float,
    side: int,
    orientation: int,
    mode: str,
):
    path = write_waves(tmp_path_factory.getbasetemp() / "waves.jpg", *size, orientation, mode)
    whole = read_image(path)
    read = read_at_least(path, LeastImage(share * whole[0].numel(), side))
    enough = (k for k in (8, 4, 2) if 1 / k**2 >= share and min(size) / k >= side)
    part = next(enough, 1)
    assert [length * part for length in read.shape[1:]] == list(whole.shape[1:])
    apart = resize_image(whole, (read.shape[1], read.shape[2])).float() - read.float()
    assert apart.abs().mean() < 12


def test_other_images_are_read_as_they_are(tmp_path: Path):
    for suffix in ("png", "webp"):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (64, 48), (9, 9, 9)).save(path)
        assert torch.equal(read_at_least(path, LeastImage(10, 1)), read_image(path))


def test_photographs_of_phones_are_jpegs_too(tmp_path: Path):
    first, second = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    image = read_at_least(tmp_path / "a.jpg", LeastImage(100, 10))
    assert image.shape == (3, 12, 16)
    assert image[0].float().mean() > 200 > 50 > image[2].float().mean()


def test_images_of_every_kind_are_decoded_for_their_views(tmp_path: Path):
    write_waves(tmp_path / "a.jpg", 480, 640)
    source = folder_images(tmp_path)
    crops = MultiCropTransform(32, 16)  # needs 1024 / 0.1875 = 5,461 pixels: an eighth has 4,800
    views = RandomViews([ViewSettings(size=32, scale=(0.25, 1.0))], [0.5] * 3, [0.5] * 3)
    tokens = np.zeros((1, 4, 2), np.float32)
    for images, transform in (
        (ImagesOf(source), crops),
        (ImagesOf(source), views),
        (ImagesOf(source), MaskedViews(views, (2, 2), 1, 0.5, (0.1, 0.5))),
        (ImagesWith(source, [7]), OfImage(views)),
        (ImagesWithTokens(source, tokens, [0], (2, 2)), AnchoredTransform(crops)),
    ):
        item = decoded_for(images, transform)[0]
        image = item if isinstance(images, ImagesOf) else item[0]
        assert image.shape == (3, 120, 160)
        whole = images[0] if isinstance(images, ImagesOf) else images[0][0]
        assert whole.shape == (3, 480, 640), "the images that were given are as they were"
        transform(item)
    assert decoded_for(ImagesOf(source), lambda image: image)[0].shape == (3, 480, 640)


@pytest.mark.parametrize(("given_", "sides"), [((), (120, 160)), (("false",), (480, 640))])
def test_a_training_decodes_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_: tuple[str, ...], sides: tuple[int, int]
):
    (tmp_path / "images").mkdir()
    for name in "abc":
        write_waves(tmp_path / "images" / f"{name}.jpg", 480, 640)
    seen, draw = set(), MultiCropTransform.__call__

    def call(self: MultiCropTransform, image: torch.Tensor, *more: object):
        seen.add(tuple(image.shape[1:]))
        return draw(self, image, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(MultiCropTransform, "__call__", call)
    words = [f"views.reduced_decoding={value}" for value in given_]
    small = ("views.global_size=32", "views.local_size=16", "trainer.max_steps=1", "num_workers=0")
    leopart_train(tmp_path / "images", tmp_path / "out", *LEOPART, *small, *words)
    assert seen == {sides}
