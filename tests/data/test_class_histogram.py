"""Pixels a class, counted by hand."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.camvid import camvid
from leopart_kit.data.class_histogram import class_histogram
from leopart_kit.data.errors import BrokenSampleError, UnknownClassError
from tests.data.image_writers import truncate, write_image, write_mask


def write_two(root: Path) -> Path:
    for index, ids in enumerate(([[0, 0, 1, 11]], [[1, 1, 1, 3]])):
        write_image(root / f"val/{index}.png", (1, 4))
        write_mask(root / f"valannot/{index}.png", np.array(ids))
    return root


def test_counts(tmp_path: Path):
    histogram = class_histogram(camvid(write_two(tmp_path), "val"))
    assert histogram.pixels.tolist() == [2, 4, 0, 1, *[0] * 7]
    assert histogram.images.tolist() == [1, 2, 0, 1, *[0] * 7]
    assert histogram.ignored_pixels == 1
    assert histogram.broken == {}
    assert histogram.usable == (0, 1)
    assert histogram.classes_present == (0, 1, 3)
    assert histogram.summary() == (
        "3 of 11 classes; without pole, pavement, tree, sign, fence, …; pixels: building 50.0 %, "
        "sky 25.0 %, road 12.5 %, ignored 12.5 %"
    )


def test_broken_masks_are_named_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    dataset = camvid(write_two(tmp_path), "val")
    truncate(tmp_path / "valannot/0.png", 0.4)
    with caplog.at_level(logging.WARNING):
        histogram = class_histogram(dataset)
    assert list(histogram.broken) == [0]
    assert "valannot/0.png" in histogram.broken[0]
    assert histogram.usable == (1,)
    assert histogram.pixels.sum() == 4
    assert "valannot/0.png" in caplog.text


def test_a_mask_of_another_size_than_its_image_is_left_out(tmp_path: Path):
    dataset = camvid(write_two(tmp_path), "val")
    write_mask(tmp_path / "valannot/0.png", np.array([[0, 0, 1]]))
    histogram = class_histogram(dataset)
    assert histogram.usable == (1,)
    assert "4 x 1" in histogram.broken[0]
    assert "3 x 1" in histogram.broken[0]


def test_strict_stops_at_the_first_broken_mask(tmp_path: Path):
    dataset = camvid(write_two(tmp_path), "val")
    truncate(tmp_path / "valannot/1.png", 0.4)
    with pytest.raises(BrokenSampleError, match=r"valannot/1\.png"):
        class_histogram(dataset, strict=True)


def test_all_masks_broken_is_an_error(tmp_path: Path):
    dataset = camvid(write_two(tmp_path), "val")
    for index in range(2):
        truncate(tmp_path / f"valannot/{index}.png", 0.4)
    with pytest.raises(ValueError, match="camvid val"):
        class_histogram(dataset)


def test_unknown_ids_stop_the_count(tmp_path: Path):
    dataset = camvid(write_two(tmp_path), "val")
    write_mask(tmp_path / "valannot/1.png", np.array([[40]]))
    with pytest.raises(UnknownClassError, match="id 40"):
        class_histogram(dataset)
