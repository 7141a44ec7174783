"""Images that are no whole patches: what was padded to encode them moves no border of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import covered_share
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import RunSettings, evaluate, iter_masks
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.linear_full import LinearFull
from leopart_kit.evaluation.protocols.probes.training import head_loss

PATCHES = (3, 7, 14)


def linear_full(side: int) -> LinearFull:
    return LinearFull(
        resolution=(side, side),
        score_resolution=(side, side),
        stride=8,
        learning_rates=(0.1,),
        weight_decays=(0.0,),
        holdout=0.25,
        iterations=60,
        batch_size=8,
        crop_scale=(1.0, 1.0),
    )


def linear(side: int) -> LinearProbe:
    return LinearProbe(
        seeds=(0,),
        resolution=(side, side),
        train_resolution=(10, 10),
        score_resolution=(side, side),
        learning_rate=1.0,
        batch_size=8,
        epochs=60,
        drop_at=50,
    )


def write_halves(root: Path, side: int, edge: int) -> SegmentationDataset:
    """Black and white parted at one row or column, each picture with its negative."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    below = np.zeros((side, side), np.uint8)
    below[edge:] = 1
    for number, ids in enumerate(2 * (below, 1 - below, below.T, 1 - below.T)):
        white = np.repeat(255 * ids[..., None], 3, axis=2).astype(np.uint8)
        Image.fromarray(white).save(root / "images" / f"{number}.png")
        Image.fromarray(ids).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("black\nwhite\n")
    return load_dataset("folder", root, "all")


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("protocol", [linear, linear_full])
def test_an_edge_is_found_at_its_pixel(tmp_path: Path, protocol, patch: int):
    side = 2 * patch + 1  # of three patches a side the last is padding but for one pixel
    dataset = write_halves(tmp_path, side, patch)
    encoder = Encoder.from_module(
        lambda images: F.avg_pool2d(images, patch), patch, 3, mean=[0.5] * 3, std=[0.5] * 3
    )
    run = RunSettings(shared_images="allow")
    result = evaluate(encoder, dataset, protocol(side), run, train=dataset)
    for row, (_, found) in enumerate(iter_masks(result, dataset)):
        np.testing.assert_array_equal(found, dataset.load_mask(row))


@pytest.mark.parametrize("patch", PATCHES)
def test_the_loss_cuts_off_what_was_padded(patch: int):
    rows, columns = -(-20 // patch), -(-25 // patch)
    logits = torch.randn(2, 3, rows, columns, requires_grad=True)
    targets = torch.randint(0, 3, (2, 20, 25))
    whole = F.interpolate(logits, size=(rows * patch, columns * patch), mode="bilinear")
    expected = F.cross_entropy(whole[..., :20, :25], targets)
    found = head_loss(logits, targets, covered_share(20, 25, patch))
    torch.testing.assert_close(found, expected)
    for own, wanted in zip(
        torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits), strict=True
    ):
        torch.testing.assert_close(own, wanted)
