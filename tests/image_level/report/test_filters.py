"""The first convolution's filters as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from leopart_kit.backbones import Encoder, load_encoder
from leopart_kit.image_level.report.filters import filters_picture, first_convolution, write_filters


def test_each_filter_is_stretched_around_grey():
    weight = torch.zeros(2, 3, 1, 2)
    weight[0, :, 0, 0] = torch.tensor([4.0, 0.0, -4.0])
    weight[1, :, 0, 1] = torch.tensor([0.5, 0.5, 0.5])
    picture = filters_picture(weight, columns=2)
    zoom = 22  # 44 pixels for the longer side of 2
    assert picture.shape == (zoom + 4, 2 * 2 * zoom + 6, 3)
    assert picture[2, 2].tolist() == [255, 128, 0]
    assert picture[2, 2 + zoom].tolist() == [128, 128, 128]
    second = 2 * zoom + 4
    assert picture[2, second].tolist() == [128, 128, 128]
    assert picture[2, second + zoom].tolist() == [255, 255, 255]
    assert (picture[:2] == 255).all(), "a white line around"


def test_a_filter_of_zeros_is_grey():
    assert (filters_picture(torch.zeros(1, 3, 3, 3))[2:-2, 2:-2] == 128).all()


def test_the_first_convolution_on_colours_is_found():
    shown = nn.Conv2d(3, 5, 3)  # one of 1 x 1 pixels has nothing to show
    network = nn.Sequential(nn.Conv2d(3, 8, 1), shown, nn.Conv2d(5, 6, 3))
    encoder = Encoder.from_module(network, 8, 6)
    weight = first_convolution(encoder)
    assert weight is not None
    assert torch.equal(weight, shown.weight)
    assert first_convolution(load_encoder("handcrafted")) is None


def test_written_and_refused(tmp_path: Path):
    encoder = Encoder.from_module(nn.Conv2d(3, 6, 8, stride=8), 8, 6)
    path = write_filters(encoder, tmp_path / "filters.png")
    weight = first_convolution(encoder)
    assert weight is not None
    np.testing.assert_array_equal(np.asarray(Image.open(path)), filters_picture(weight))
    with pytest.raises(ValueError, match="handcrafted"):
        write_filters(load_encoder("handcrafted"), tmp_path / "none.png")
    with pytest.raises(ValueError, match=r"RGB.*\[4, 5, 3, 3\]"):
        filters_picture(torch.zeros(4, 5, 3, 3))
