"""Pooled layers and their store."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from leopart_kit.evaluation import RunSettings
from leopart_kit.image_level.evaluation.pooled_features import (
    LayersAsToken,
    extract_pooled,
    pool_map,
)
from tests.data.image_writers import truncate
from tests.image_level.evaluation.tiny_images import TwoLayers, colour_splits


@pytest.mark.parametrize(
    ("channels", "side", "features"),
    [(96, 55, 9600), (256, 27, 9216), (384, 13, 9600), (256, 13, 9216), (256, 3, 2304)],
)
def test_the_numbers_of_features_are_those_of_the_alexnet_literature(
    channels: int, side: int, features: int
):
    maps = torch.zeros(1, channels, side, side)
    assert pool_map(maps, "grid", 9600).shape == (1, features)
    assert pool_map(maps, "global", 9600).shape == (1, channels)


def test_grid_pooling_takes_means_of_cells():
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert pool_map(maps, "grid", 4).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert pool_map(maps, "grid", 8).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert pool_map(maps, "global", 99).tolist() == [[7.5]]
    assert pool_map(maps.expand(1, 50, 4, 4), "grid", 4).shape == (1, 50), "one cell at least"


def test_a_store_holds_every_layer_in_its_place(tmp_path: Path):
    train, _ = colour_splits(tmp_path / "data")
    encoder = TwoLayers()
    layers = LayersAsToken(encoder, "all", 16, "grid", max_features=20)
    found = extract_pooled(layers, train, 1.0, RunSettings(batch_size=7), tmp_path)
    assert found.layers == ("first", "second", "output")
    image = train.load_image(12)[:, :, 2:18]  # the central square
    with torch.no_grad():
        maps = encoder.layer_features(encoder.preprocess(image[None]))
    for name, expected in (
        ("first", F.adaptive_avg_pool2d(maps["first"], 2).flatten(1)),
        ("second", F.adaptive_avg_pool2d(maps["second"], 1).flatten(1)),
        ("output", maps["second"].mean(dim=(2, 3))),
    ):
        stored = found.layer(name)
        assert stored.shape[0] == 30
        torch.testing.assert_close(stored[12:13].float(), expected, atol=2e-3, rtol=2e-3)
    assert found.labels[12] == 1


def test_a_store_is_reused_and_another_pooling_makes_another(tmp_path: Path, caplog):
    train, _ = colour_splits(tmp_path / "data")
    run = RunSettings()
    encoder = TwoLayers()
    with caplog.at_level(logging.INFO):
        for pooling, share in (("global", 1.0), ("global", 1.0), ("grid", 1.0), ("grid", 0.5)):
            layers = LayersAsToken(encoder, "all", 16, pooling)  # type: ignore[arg-type]
            extract_pooled(layers, train, share, run, tmp_path)
    assert caplog.text.count("features: reused") == 1
    assert len(list(tmp_path.rglob("tokens.npy"))) == 3


def test_the_output_alone_runs_the_network_once(tmp_path: Path):
    train, _ = colour_splits(tmp_path / "data")
    encoder = TwoLayers()
    layers = LayersAsToken(encoder, ("output",), 16)
    before = encoder.calls
    extract_pooled(layers, train, 1.0, RunSettings(), tmp_path)
    assert encoder.calls - before == 30


def test_layers_are_kept_in_the_order_of_the_network():
    layers = LayersAsToken(TwoLayers(), ("output", "first"), 16)
    assert list(layers.places) == ["first", "output"]
    assert layers.places["output"] == slice(5, 11)


def test_an_unknown_layer_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="'conv9'"):
        LayersAsToken(TwoLayers(), ("conv9",), 16)


def test_broken_images_are_left_out_with_their_labels(tmp_path: Path):
    train, _ = colour_splits(tmp_path / "data")
    truncate(train.image_path(3))
    layers = LayersAsToken(TwoLayers(), ("output",), 16)
    found = extract_pooled(layers, train, 1.0, RunSettings(), tmp_path)
    assert list(found.broken) == [3]
    assert "03.png" in found.broken[3]
    assert 3 not in found.rows
    assert found.labels.tolist() == [0] * 9 + [1] * 10 + [2] * 10
    assert len(found.layer("output")) == 29
