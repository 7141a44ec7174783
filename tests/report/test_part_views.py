"""What the naming page is told of each part of a model whose parts are the colours of images."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.masks import PartModel
from leopart_kit.masks.part_classes import Level
from leopart_kit.report import part_views
from leopart_kit.report.part_crops import Crop
from tests.evaluation.tiny_data import COLOURS, MeanColour, encoder_of, write_folder
from tests.masks.part_models import model_of


@pytest.fixture
def dataset(tmp_path: Path) -> SegmentationDataset:
    """Three images of 4 x 4 patches: colour 0 above 1, 1 above 2, 2 above 3."""
    return write_folder(tmp_path / "data", 3, masks=False)


@pytest.fixture
def store(dataset: SegmentationDataset, tmp_path: Path) -> FeatureStore:
    return extract_features(
        encoder_of(MeanColour()), dataset, cache_dir=tmp_path / "cache", resolution=(32, 32)
    )


def picture_of(crop: Crop) -> np.ndarray:
    with Image.open(BytesIO(base64.b64decode(crop.uri.split(",")[1]))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def close_to(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """True where a picture, which was compressed, has a colour."""
    return np.asarray((np.abs(picture - colour.astype(int)) < 40).all(axis=-1))


def colour_model(order: tuple[int, ...] = (3, 1, 2, 0), **fields: object) -> PartModel:
    """Cluster k is colour `order[k]`."""
    centroids = torch.from_numpy(COLOURS[list(order)].astype(np.float32) / 255)
    return model_of(len(order), centroids=centroids, **fields)


def test_parts_come_by_share_with_their_counts_and_colours(
    dataset: SegmentationDataset, store: FeatureStore
):
    views = part_views(colour_model(), dataset, store).parts
    assert [view.id for view in views] == [1, 2, 0, 3], "of equal shares the lower number first"
    assert [len(view.images) for view in views] == [2, 2, 1, 1]
    np.testing.assert_allclose([view.share for view in views], [100 / 3, 100 / 3, 50 / 3, 50 / 3])
    colours = cluster_palette(4)
    assert all((view.colour == colours[view.id]).all() for view in views)
    assert {view.kind for view in views} == {"part"}
    assert {view.community for view in views} == {None}
    assert [view.key for view in views] == ["1", "2", "0", "3"]


def test_crops_show_the_part_in_its_own_colour(dataset: SegmentationDataset, store: FeatureStore):
    order = (3, 1, 2, 0)
    for view in part_views(colour_model(order), dataset, store).parts:
        assert [crop.image for crop in view.best] == view.images.tolist(), "one crop an image"
        for crop in view.best:
            own = close_to(picture_of(crop), COLOURS[order[view.id]])
            assert 0.45 < own.mean() < 0.55, "the half of the image that is the part"
            assert own[8].all() != own[-8].all()
            assert crop.name == dataset.names[crop.image]


def test_background_parts_are_left_out(dataset: SegmentationDataset, store: FeatureStore):
    foreground = np.array([True, False, True, True])
    views = part_views(colour_model(foreground=foreground), dataset, store).parts
    assert [view.id for view in views] == [2, 0, 3]
    assert [view.share for view in views] == [50.0, 25.0, 25.0], "of the foreground"


def test_parts_that_do_not_occur_are_left_out(dataset: SegmentationDataset, store: FeatureStore):
    store.restrict([0])
    assert [view.id for view in part_views(colour_model(), dataset, store).parts] == [1, 3]


def test_parts_tell_their_object(dataset: SegmentationDataset, store: FeatureStore):
    model = colour_model(communities=np.array([1, 0, -1, 0]))
    objects = {view.id: view.community for view in part_views(model, dataset, store).parts}
    assert objects == {0: 1, 1: 0, 2: None, 3: 0}


def test_objects_hold_the_patches_of_their_parts(dataset: SegmentationDataset, store: FeatureStore):
    """Object 0 is colours 0 and 1, object 1 is colour 3; colour 2 belongs to none."""
    model = colour_model(communities=np.array([1, 0, -1, 0]))
    views = part_views(model, dataset, store, "objects").parts
    assert [(view.id, view.key, len(view.images)) for view in views] == [
        (0, "object_000", 2),
        (1, "object_001", 1),
    ]
    assert [view.share for view in views] == [75.0, 25.0]
    assert {view.community for view in views} == {None}
    crops = [picture_of(crop) for crop in views[0].best]
    whole = next(crop for crop in crops if close_to(crop[8, 8], COLOURS[0]))
    assert close_to(whole[-8, 8], COLOURS[1]), "both parts of the object are its own"
    background = np.array([True, True, True, False])
    fewer = colour_model(communities=np.array([1, 0, -1, 0]), foreground=background)
    assert [view.share for view in part_views(fewer, dataset, store, "objects").parts] == [
        pytest.approx(200 / 3),
        pytest.approx(100 / 3),
    ]


def test_every_photograph_of_a_crop_is_there_with_its_parts(
    dataset: SegmentationDataset, store: FeatureStore
):
    """Colour k over colour k + 1 in photograph k; objects are 0 and 1, and 3."""
    model = colour_model((0, 1, 2, 3), communities=np.array([0, 0, -1, 1]))
    levels: dict[Level, list[int]] = {"parts": [0, 1, 2, 3], "objects": [0, 0, -1, 1]}
    for level, units in levels.items():
        photos = part_views(model, dataset, store, level).photos
        assert sorted(photos) == [0, 1, 2]
        for index, photo in photos.items():
            assert (photo.name, photo.size) == (dataset.names[index], (32, 32))
            assert np.unique(photo.labels[:2]).tolist() == [units[index]]
            assert np.unique(photo.labels[2:]).tolist() == [units[index + 1]]


def test_features_are_the_mean_of_the_patches(dataset: SegmentationDataset, store: FeatureStore):
    """Object 0 is colour 0, of two rows, and colour 1, of four."""
    model = colour_model((0, 1, 2, 3), communities=np.array([0, 0, 1, 1]))
    first = part_views(model, dataset, store, "objects").parts[0]
    assert first.feature is not None
    expected = np.array([1, 2]) @ COLOURS[:2].astype(float) / 3 / 255
    np.testing.assert_allclose(first.feature, expected, atol=1e-6)
