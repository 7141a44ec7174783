"""What the naming page is told of each part of a model whose parts are the colours of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.masks import PartModel
from leopart_kit.report import part_views
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


def colour_model(order: tuple[int, ...] = (3, 1, 2, 0), **fields: object) -> PartModel:
    """Cluster k is colour `order[k]`."""
    centroids = torch.from_numpy(COLOURS[list(order)].astype(np.float32) / 255)
    return model_of(len(order), centroids=centroids, **fields)


def test_parts_come_by_share_with_their_counts_and_colours(
    dataset: SegmentationDataset, store: FeatureStore
):
    views = part_views(colour_model(), dataset, store)
    assert [view.id for view in views] == [1, 2, 0, 3], "of equal shares the lower number first"
    assert [view.num_images for view in views] == [2, 2, 1, 1]
    np.testing.assert_allclose([view.share for view in views], [100 / 3, 100 / 3, 50 / 3, 50 / 3])
    colours = cluster_palette(4)
    assert all((view.colour == colours[view.id]).all() for view in views)
    assert {view.kind for view in views} == {"part"}
    assert {view.community for view in views} == {None}
    assert [view.key for view in views] == ["1", "2", "0", "3"]


def test_crops_show_the_part_in_its_own_colour(dataset: SegmentationDataset, store: FeatureStore):
    order = (3, 1, 2, 0)
    for view in part_views(colour_model(order), dataset, store):
        assert len(view.best) == view.num_images, "one crop an image"
        for crop in view.best:
            assert crop.shape == (32, 32, 3), "7 patches are more than the image has"
            own = (crop == COLOURS[order[view.id]]).all(axis=-1)
            assert own.mean() == 0.5, "the half of the image that is the part"
            assert own[0].all() != own[-1].all()
            assert len(np.unique(crop[~own], axis=0)) == 1, "all else is faded"


def test_background_parts_are_left_out(dataset: SegmentationDataset, store: FeatureStore):
    foreground = np.array([True, False, True, True])
    views = part_views(colour_model(foreground=foreground), dataset, store)
    assert [view.id for view in views] == [2, 0, 3]
    assert [view.share for view in views] == [50.0, 25.0, 25.0], "of the foreground"


def test_parts_that_do_not_occur_are_left_out(dataset: SegmentationDataset, store: FeatureStore):
    store.restrict([0])
    assert [view.id for view in part_views(colour_model(), dataset, store)] == [1, 3]


def test_parts_tell_their_object(dataset: SegmentationDataset, store: FeatureStore):
    model = colour_model(communities=np.array([1, 0, -1, 0]))
    objects = {view.id: view.community for view in part_views(model, dataset, store)}
    assert objects == {0: 1, 1: 0, 2: None, 3: 0}


def test_objects_hold_the_patches_of_their_parts(dataset: SegmentationDataset, store: FeatureStore):
    """Object 0 is colours 0 and 1, object 1 is colour 3; colour 2 belongs to none."""
    model = colour_model(communities=np.array([1, 0, -1, 0]))
    views = part_views(model, dataset, store, "objects")
    assert [(view.id, view.key, view.num_images) for view in views] == [
        (0, "object_000", 2),
        (1, "object_001", 1),
    ]
    assert [view.share for view in views] == [75.0, 25.0]
    assert {view.community for view in views} == {None}
    whole = next(crop for crop in views[0].best if (crop[0, 0] == COLOURS[0]).all())
    assert (whole[-1, 0] == COLOURS[1]).all(), "both parts of the object are its own"
    background = np.array([True, True, True, False])
    fewer = colour_model(communities=np.array([1, 0, -1, 0]), foreground=background)
    assert [view.share for view in part_views(fewer, dataset, store, "objects")] == [
        pytest.approx(200 / 3),
        pytest.approx(100 / 3),
    ]
