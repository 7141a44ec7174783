"""From images to figures: what is learned, what is recorded, and what cannot be measured."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.backbones import load_encoder
from leopart_kit.evaluation import RunSettings
from leopart_kit.image_level.data.loading import load_classification
from leopart_kit.image_level.evaluation import (
    ClusterSettings,
    FineTuningSettings,
    ImageLevelSettings,
    KnnSettings,
    LinearSettings,
    cluster_views,
    evaluate_image_level,
)
from tests.data.image_writers import truncate, write_image
from tests.image_level.evaluation.tiny_images import TwoLayers, colour_splits, write_colours

TINY = ImageLevelSettings(
    evaluations=("knn", "linear", "low_shot", "fine_tuning", "clusters"),
    seeds=(0, 1),
    knn=KnnSettings(neighbours=3),
    linear=LinearSettings(epochs=5, learning_rates=(1.0, 10.0)),
    fine_tuning=FineTuningSettings(fractions=(0.2,), epochs=1, min_steps=30, batch_size=10),
)


def test_every_evaluation_of_an_easy_set(tmp_path: Path):
    train, test = colour_splits(tmp_path)
    result = evaluate_image_level(TwoLayers(), train, test, TINY)
    found = {(s.evaluation, s.variant, s.metric): s for s in result.scores}
    assert list(found) == [
        ("knn", "output", "accuracy"),
        ("linear", "first", "accuracy"),
        ("linear", "second", "accuracy"),
        ("linear", "output", "accuracy"),
        ("low_shot", "20 % of the labels", "accuracy"),
        ("fine_tuning", "100 % of the labels", "accuracy"),
        *(("clusters", "K = 3", metric) for metric in ("accuracy", "purity", "nmi", "ari")),
    ]
    assert all(score.mean == pytest.approx(100) for score in result.scores)
    assert [len(score.per_seed) for score in result.scores[:2]] == [1, 2]
    assert found["linear", "first", "accuracy"].chosen[0]["learning_rate"] in (1.0, 10.0)
    data = result.dataset
    assert (data.num_train, data.num_test, data.num_classes) == (30, 12, 3)
    assert data.resolution == 16, "the shorter side, since the settings leave it open"
    assert data.chance == pytest.approx(100 / 3)
    used = result.labels_used
    assert [used[name].select for name in used] == [False, True, False, False, False]
    assert used["clusters"].match
    assert not used["clusters"].fit
    assert result.timing_seconds["total"] == pytest.approx(
        sum(v for k, v in result.timing_seconds.items() if k != "total")
    )
    assert [view.size for view in result.clusters] == [4, 4, 4]
    assert all(view.purity == 100 for view in result.clusters)


def test_permuting_test_labels_changes_scores_but_no_choice(tmp_path: Path):
    write_colours(tmp_path, "train", 10, noise=120)
    write_colours(tmp_path, "test", 8, noise=120)
    train, test = (load_classification("image_folder_classes", tmp_path, s) for s in SPLITS)
    shuffled = replace(test, labels=np.roll(test.labels, 8))
    settings = replace(TINY, evaluations=("knn", "linear", "clusters"))
    run = RunSettings(cache_dir=tmp_path / "cache")
    first, second = (
        evaluate_image_level(TwoLayers(), train, split, settings, run) for split in (test, shuffled)
    )
    assert [s.chosen for s in first.of("linear")] == [s.chosen for s in second.of("linear")]
    assert [s.mean for s in first.of("linear")] != [s.mean for s in second.of("linear")]
    assert {v.id: v.examples for v in first.clusters} == {v.id: v.examples for v in second.clusters}


SPLITS = ("train", "test")


def test_chosen_layers_and_given_clusters(tmp_path: Path):
    train, test = colour_splits(tmp_path)
    settings = replace(
        TINY,
        evaluations=("linear", "clusters"),
        linear=LinearSettings(layers=("first",), epochs=2),
    )
    assignments = np.array([7] * 4 + [2] * 4 + [2] * 4)
    result = evaluate_image_level(TwoLayers(), train, test, settings, assignments=assignments)
    assert [score.variant for score in result.of("linear")] == ["first"]
    scores = {s.metric: s.mean for s in result.scores if s.evaluation == "clusters"}
    assert scores["accuracy"] == pytest.approx(100 * 8 / 12)
    assert result.of("clusters")[0].variant == "K = 2, given"
    assert [(view.id, view.size) for view in result.clusters] == [(7, 4), (2, 8)]
    assert result.clusters[1].classes == ((1, 4), (2, 4))


def test_broken_images_are_named_and_their_labels_left_out(tmp_path: Path):
    train, test = colour_splits(tmp_path)
    truncate(train.image_path(0))
    truncate(test.image_path(11))
    result = evaluate_image_level(TwoLayers(), train, test, TINY)
    assert (result.dataset.num_train, result.dataset.num_test) == (29, 11)
    left_out = [(item["split"], item["name"]) for item in result.dataset.broken]
    assert left_out == [("train", "blue/00"), ("test", "red/03")]
    assert all(score.mean == pytest.approx(100) for score in result.of("low_shot"))
    with pytest.raises(ValueError, match=r"blue/00\.png"):
        evaluate_image_level(TwoLayers(), train, test, TINY, RunSettings(strict=True))


def test_a_class_without_training_images(tmp_path: Path):
    train, test = colour_splits(tmp_path)
    write_image(tmp_path / "test" / "violet" / "0.png", (16, 16))
    test = load_classification("image_folder_classes", tmp_path, "test")
    with pytest.raises(ValueError, match="violet"):
        evaluate_image_level(TwoLayers(), train, test, TINY)


def test_a_class_without_test_images_is_no_error(tmp_path: Path):
    train, _ = colour_splits(tmp_path)
    for path in (tmp_path / "test" / "green").iterdir():
        path.unlink()
    test = load_classification("image_folder_classes", tmp_path, "test")
    result = evaluate_image_level(TwoLayers(), train, test, replace(TINY, evaluations=("knn",)))
    assert result.of("knn")[0].mean == 100
    assert result.dataset.num_classes == 3


def test_what_cannot_be_measured_is_said_before_the_work(tmp_path: Path):
    write_image(tmp_path / "one" / "train" / "cat" / "0.png", (16, 16))
    one = load_classification("image_folder_classes", tmp_path / "one", "train")
    with pytest.raises(ValueError, match="'cat'"):
        evaluate_image_level(TwoLayers(), one, one)
    train, test = colour_splits(tmp_path / "colours")
    encoder = TwoLayers()

    def error(settings: ImageLevelSettings, **options: object) -> str:
        with pytest.raises(ValueError, match=r".") as raised:
            evaluate_image_level(encoder, train, test, settings, **options)  # type: ignore[arg-type]
        assert encoder.calls == 0
        return str(raised.value)

    assert "31 neighbours" in error(replace(TINY, knn=KnnSettings(neighbours=31)))
    few = replace(TINY, fine_tuning=FineTuningSettings(fractions=(0.01,)))
    assert re.search(r"\b1 %.*'blue'", error(few))
    clusters = replace(
        TINY, evaluations=("knn", "clusters"), clusters=ClusterSettings(num_clusters=31)
    )
    assert "31 clusters" in error(clusters)
    probed = replace(TINY, evaluations=("knn", "linear"))
    probed = replace(probed, linear=LinearSettings(validation_fraction=0.04))
    assert re.search(r"\b4 %.*'blue'", error(probed))
    handcrafted = load_encoder("handcrafted")
    tuned = replace(TINY, evaluations=("knn", "fine_tuning"))
    with pytest.raises(ValueError, match="handcrafted"):
        evaluate_image_level(handcrafted, train, test, tuned, RunSettings(cache_dir=tmp_path / "c"))
    assert not (tmp_path / "c").exists(), "said before the features were taken"
    assert "the 12 images" in error(TINY, assignments=np.zeros(3))


def test_examples_of_a_cluster_are_nearest_to_its_mean():
    angles = torch.tensor([0.0, 60.0, 10.0, 80.0, 90.0])
    features = torch.stack([torch.cos(torch.deg2rad(angles)), torch.sin(torch.deg2rad(angles))], 1)
    views = cluster_views(features, np.array([4, 4, 4, 0, 0]), np.array([1, 1, 0, 0, 0]), 2)
    assert [(view.id, view.size) for view in views] == [(0, 2), (4, 3)]
    assert views[1].examples == (2, 0)  # the mean of 0°, 10° and 60° lies at about 22°
    assert views[1].classes == ((1, 2), (0, 1))
    assert views[1].purity == pytest.approx(200 / 3)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_clusters_hold_every_image_once(seed: int):
    generator = np.random.default_rng(seed)
    clusters, labels = generator.integers(0, 5, (2, 30))
    features = torch.from_numpy(generator.normal(size=(30, 4)))
    views = cluster_views(features, clusters, labels, 30)
    assert sorted(row for view in views for row in view.examples) == list(range(30))
    assert all(sum(n for _, n in view.classes) == view.size for view in views)
    purities = [view.purity for view in views]
    assert purities == sorted(purities, reverse=True)
    assert math.isclose(
        sum(v.purity * v.size for v in views) / 30,
        100 * sum(v.classes[0][1] for v in views) / 30,
    )
