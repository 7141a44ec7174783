"""Fine-tuning learns colours, leaves the encoder alone, and depends on its seed alone."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from leopart_kit.backbones import load_encoder
from leopart_kit.image_level.evaluation import FineTuningSettings, fine_tune, predict_classes
from leopart_kit.image_level.evaluation.fine_tuning import _batches, _TrainingCrops
from tests.image_level.evaluation.tiny_images import TwoLayers, colour_splits

QUICK = FineTuningSettings(epochs=1, min_steps=15, batch_size=10)


def test_it_learns_and_the_encoder_stays(tmp_path: Path):
    train, test = colour_splits(tmp_path)
    encoder = TwoLayers()
    before = copy.deepcopy(encoder.state_dict())
    kept = np.array([0, 1, 10, 11, 20, 21])
    classifier = fine_tune(encoder, train.images, kept, train.labels[kept], 3, QUICK, resolution=16)
    rows = np.arange(len(test))
    predictions = predict_classes(classifier, test.images, rows, resolution=16, batch_size=5)
    assert predictions.tolist() == test.labels.tolist()
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not torch.equal(classifier.backbone.state_dict()["first.weight"], before["first.weight"])
    assert not classifier.training


def test_a_frozen_encoder_is_thawed_in_the_copy_only(tmp_path: Path):
    train, _ = colour_splits(tmp_path)
    encoder = TwoLayers().requires_grad_(False)
    rows = np.arange(30)
    classifier = fine_tune(encoder, train.images, rows, train.labels, 3, QUICK, resolution=16)
    assert not torch.equal(classifier.backbone.first.weight, encoder.first.weight)  # type: ignore[arg-type]
    assert not encoder.first.weight.requires_grad


def test_the_seed_decides(tmp_path: Path):
    train, _ = colour_splits(tmp_path)
    rows = np.arange(30)
    weights = [
        fine_tune(
            TwoLayers(), train.images, rows, train.labels, 3, QUICK, resolution=16, seed=seed
        ).linear.weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_batches_pass_over_all_images_before_any_comes_again():
    batches = list(_batches(5, 4, steps=5, seed=0))
    assert [len(batch) for batch in batches] == [4] * 5
    keys = [key for batch in batches for key in batch]
    for epoch in range(4):
        assert sorted(row for at, row in keys if at == epoch) == [0, 1, 2, 3, 4]


def test_crops_depend_on_epoch_and_row_alone(tmp_path: Path):
    train, _ = colour_splits(tmp_path)
    crops = _TrainingCrops(train.images, np.arange(30), train.labels, (0.3, 0.9), 16, seed=0)
    first = crops[0, 4][0]
    torch.manual_seed(77)
    assert torch.equal(crops[0, 4][0], first)
    assert not torch.equal(crops[1, 4][0], first)
    assert crops[0, 4][1] == 0


def test_what_cannot_be_fine_tuned(tmp_path: Path):
    train, _ = colour_splits(tmp_path)
    rows = np.arange(30)
    encoder = load_encoder("handcrafted")
    with pytest.raises(ValueError, match="low_shot"):
        fine_tune(encoder, train.images, rows, train.labels, 3, QUICK, resolution=16)
    with pytest.raises(ValueError, match="least 2 labelled"):
        fine_tune(TwoLayers(), train.images, rows[:1], train.labels[:1], 3, QUICK, resolution=16)
    wild = FineTuningSettings(epochs=1, min_steps=30, backbone_learning_rate=1e2, weight_decay=1e4)
    with pytest.raises(ValueError, match="two_layers"):
        fine_tune(TwoLayers(), train.images, rows, train.labels, 3, wild, resolution=16)
