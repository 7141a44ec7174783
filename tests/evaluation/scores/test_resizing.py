from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from leopart_kit.evaluation.scores.resizing import (
    classes_at,
    resize_image,
    resize_labels,
)

sides = st.integers(1, 70)


@given(sides, sides, sides, sides)
def test_labels_are_resized_as_torch_interpolates_to_nearest(h: int, w: int, rows: int, cols: int):
    labels = torch.arange(h * w).view(h, w)
    expected = F.interpolate(labels[None, None].float(), size=(rows, cols), mode="nearest")
    assert torch.equal(resize_labels(labels, (rows, cols)), expected[0, 0].long())
    assert torch.equal(resize_labels(labels[None], (rows, cols))[0], expected[0, 0].long())


def test_labels_by_hand():
    labels = torch.tensor([[1, 2, 3], [4, 5, 255]])
    assert resize_labels(labels, (1, 2)).tolist() == [[1, 2]]
    assert resize_labels(labels, (4, 3)).tolist() == [[1, 2, 3]] * 2 + [[4, 5, 255]] * 2
    assert resize_labels(labels, (2, 3)) is labels


def test_images_are_resized_smoothly():
    stripes = torch.tensor([0, 200], dtype=torch.uint8).repeat(8)  # 16 columns
    image = stripes.expand(3, 4, 16).contiguous()
    halved = resize_image(image, (4, 8))
    assert halved.dtype == torch.uint8
    inner = halved[:, :, 1:-1].float()  # antialiasing averages neighbours instead of picking one
    assert (inner - 100).abs().max() <= 26


@given(st.integers(1, 9), sides, sides, st.integers(0, 9), st.sampled_from([0.0, 0.2]))
def test_classes_are_those_of_argmax(classes: int, rows: int, cols: int, seed: int, unknown: float):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(3, (classes, 4, 5), generator=generator).float()  # many are equal
    scores[torch.rand(scores.shape, generator=generator) < unknown] = torch.nan
    planes = F.interpolate(scores[None], size=(rows, cols), mode="bilinear")[0]
    assert torch.equal(classes_at(scores, (rows, cols)), planes.argmax(dim=0))
