"""Predictions of any method score as the same segmentation does when it is made here."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leopart_kit.data import BrokenSampleError, SegmentationDataset, UnknownClassError, load_dataset
from leopart_kit.evaluation import (
    Result,
    RunSettings,
    collect_samples,
    evaluate,
    iter_clusters,
    iter_masks,
)
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.predictions.evaluate import evaluate_predictions
from leopart_kit.evaluation.protocols.predictions.folder import PredictionFolder
from leopart_kit.evaluation.protocols.predictions.protocol import Predictions
from leopart_kit.masks import write_masks
from leopart_kit.metrics import paired_bootstrap
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder

SIZES: dict[str, Any] = {"resolution": (SIDE, SIDE), "score_resolution": (16, 16)}


def score(root: Path, dataset: SegmentationDataset, *, strict: bool = False, **settings) -> Result:
    protocol = Predictions(**{**SIZES, **settings})
    return evaluate_predictions(
        PredictionFolder(root), dataset, protocol, RunSettings(strict=strict)
    )


def save(root: Path, name: str, ids: np.ndarray) -> None:
    root.mkdir(exist_ok=True)
    Image.fromarray(ids.astype(np.uint8)).save(root / f"{name}.png")


@pytest.fixture
def scenes(tmp_path: Path) -> SegmentationDataset:
    return load_dataset("scenes", tmp_path / "scenes", "val", num_images=6, image_size=(72, 90))


@pytest.fixture
def measured(scenes: SegmentationDataset, tmp_path: Path) -> Result:
    """Clusters that are neither right nor regular, on images that are no square."""
    protocol = Overclustering(seeds=(3,), num_clusters=12, pca_dim=None, **SIZES)
    return evaluate(
        encoder_of(MeanColour()), scenes, protocol, RunSettings(cache_dir=tmp_path / "cache")
    )


def rates(result: Result, resolution: str) -> list:
    (table,) = (t for t in result.scores if t.resolution == resolution)
    return [table.miou, table.miou_union, table.pixel_accuracy, table.per_class]


def test_the_masks_of_a_run_score_as_the_run_did(
    scenes: SegmentationDataset, measured: Result, tmp_path: Path
):
    write_masks(iter_masks(measured, scenes), 6, tmp_path / "masks", scenes.palette)
    result = score(tmp_path / "masks", scenes)
    assert 0 < result.metrics["miou"].mean < 100
    assert rates(result, "full") == rates(measured, "full")
    np.testing.assert_array_equal(result.per_image["full"], measured.per_image["full"])
    assert result.matching is None
    assert result.labels_used.fit, "nobody said how the classes were learnt"
    assert result.encoder.name == "masks"
    assert result.encoder.weights == str(tmp_path / "masks")
    assert result.encoder.sha256 == PredictionFolder(tmp_path / "masks").fingerprint()
    difference = paired_bootstrap(result.per_image["full"], measured.per_image["full"])
    assert difference.miou.interval == (0.0, 0.0)


@pytest.mark.parametrize("suffix", ["npy", "npz", "png"])
def test_cluster_maps_of_patches_score_as_the_run_did(
    scenes: SegmentationDataset, measured: Result, tmp_path: Path, suffix: str
):
    (tmp_path / "maps").mkdir()
    assert measured.cluster_maps is not None
    for name, clusters in zip(measured.image_names, measured.cluster_maps, strict=True):
        path = tmp_path / "maps" / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == "npy":
            np.save(path, clusters)
        elif suffix == "npz":
            np.savez(path, clusters)
        else:
            Image.fromarray(clusters.astype(np.uint8)).save(path)
    grid = measured.cluster_maps[0].shape
    result = score(tmp_path / "maps", scenes, kind="clusters", size=grid)
    for resolution in ("16x16", "full"):
        assert rates(result, resolution) == rates(measured, resolution)
    assert result.matching is not None
    assert measured.matching is not None
    assert result.matching.rule == measured.matching.rule == "many_to_one_precision"
    assert result.details["num_clusters"] == 12
    assert result.details["predictions_resized"] == 6
    for found, wanted in zip(
        (*iter_masks(result, scenes), *iter_clusters(result, scenes)),
        (*iter_masks(measured, scenes), *iter_clusters(measured, scenes)),
        strict=True,
    ):
        assert found[0] == wanted[0]
        np.testing.assert_array_equal(found[1], wanted[1])


def test_few_clusters_are_matched_one_to_one_whatever_their_ids(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 6)
    for index, name in enumerate(dataset.names):
        mask = dataset.load_mask(index)
        assert mask is not None
        save(tmp_path / "found", name, np.array([2, 0, 3, 1])[mask])
    result = score(tmp_path / "found", dataset, kind="clusters")
    assert result.matching is not None
    assert result.matching.rule == "hungarian_iou"
    assert result.metrics["miou"].mean == 100
    assert not result.labels_used.fit
    assert result.labels_used.match
    as_classes = score(tmp_path / "found", dataset, labels_used=("match",))
    assert as_classes.metrics["miou"].mean == 0, "classes are taken by their ids"
    assert (as_classes.labels_used.fit, as_classes.labels_used.match) == (False, True)
    counted = score(tmp_path / "found", dataset, kind="clusters", matching="hungarian_count")
    assert counted.matching is not None
    assert counted.matching.rule == "hungarian_count"


def test_pixels_of_no_class_are_missed_and_nobodys_mistake(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 2, num_classes=2)
    for name in dataset.names:  # only the upper half is predicted, as class 0 in both images
        ids = np.full((SIDE, SIDE), 255)
        ids[: SIDE // 2] = 0
        save(tmp_path / "found", name, ids)
    result = score(tmp_path / "found", dataset)
    # im00 is 0 over 1, im01 1 over 0. Class 0: half found, a quarter of all pixels wrong.
    full = result.scores[1]
    assert [c.iou for c in full.per_class] == pytest.approx([100 / 3, 0])
    assert full.pixel_accuracy.mean == pytest.approx(25)
    assert result.confusion is not None
    assert result.confusion.tolist() == [[128, 0, 128], [128, 0, 128]]
    mask = dict(iter_masks(result, dataset))["im00"]
    assert np.unique(mask).tolist() == [0, 255]
    sample = collect_samples(result, dataset, 1)[0]
    assert sample.clusters is None
    np.testing.assert_array_equal(sample.prediction, mask)


@pytest.fixture
def right(tmp_path: Path) -> tuple[Path, SegmentationDataset]:
    """Predictions that are the ground truth of four images of 32 x 32 pixels."""
    dataset = write_folder(tmp_path / "data", 4)
    for index, name in enumerate(dataset.names):
        mask = dataset.load_mask(index)
        assert mask is not None
        save(tmp_path / "found", name, mask.numpy())
    return tmp_path / "found", dataset


def test_smaller_predictions_of_the_same_aspect_are_resized_and_said_once(right, caplog):
    root, dataset = right
    for name in dataset.names[:2]:
        ids = np.asarray(Image.open(root / f"{name}.png"))[::4, ::4]
        save(root, name, ids)
    with caplog.at_level(logging.INFO):
        result = score(root, dataset)
    assert result.metrics["miou"].mean == 100
    assert caplog.text.count("2 of 4 predictions were resized (nearest)") == 1


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((16, 24), {}),  # another aspect
        ((64, 64), {}),  # larger
        ((32, 31), {"size": (16, 16)}),  # not the declared one
        ((8, 8), {"size": (16, 16)}),
    ],
)
def test_another_size_names_file_and_both_sizes(right, shape, settings):
    root, dataset = right
    save(root, "im02", np.zeros(shape))
    height, width = shape
    message = (
        rf"im02\.png is {width} x {height} pixels and its image 32 x 32; .*"
        rf"predictions\.size=\[{height},{width}\]"
    )
    with pytest.raises(ValueError, match=message):
        score(root, dataset, **settings)
    if settings == {}:
        assert score(root, dataset, size=shape).details["predictions_resized"] == 1


@pytest.mark.parametrize(
    ("ids", "settings", "message"),
    [
        ([4, 9], {}, r"im02\.png.*4, 9"),
        ([200], {}, r"im02\.png.*predictions\.kind"),
        (
            [7],
            {"kind": "clusters", "num_clusters": 6},
            r"im02\.png.*predictions\.num_clusters",
        ),
    ],
)
def test_unknown_ids_name_the_file_and_what_there_is(right, ids, settings, message: str):
    root, dataset = right
    found = np.zeros((SIDE, SIDE))
    found[0, : len(ids)] = ids
    save(root, "im02", found)
    with pytest.raises(UnknownClassError, match=message):
        score(root, dataset, **settings)
    assert score(root, dataset, kind="clusters").details["num_clusters"] == max(ids) + 1


def test_negative_ids_are_unknown(right):
    root, dataset = right
    (root / "im01.png").unlink()
    np.save(root / "im01.npy", np.full((SIDE, SIDE), -1))
    with pytest.raises(UnknownClassError, match=r"im01\.npy"):
        score(root, dataset)
    with pytest.raises(UnknownClassError, match="id -1"):
        score(root, dataset, kind="clusters")


def test_missing_predictions_are_an_error_or_left_out_by_name(right):
    root, dataset = right
    (root / "im01.png").unlink()
    with pytest.raises(ValueError, match="leave_out"):
        score(root, dataset)
    result = score(root, dataset, missing="leave_out")
    assert result.dataset.num_images == 3
    assert result.image_names == ("im00", "im02", "im03")
    assert [item["name"] for item in result.dataset.broken] == ["im01"]
    assert "no prediction" in result.dataset.broken[0]["reason"]
    for name in ("im00", "im02", "im03"):
        (root / f"{name}.png").rename(root / f"other_{name}.png")
    with pytest.raises(ValueError, match="im00, im01, im02"):
        score(root, dataset, missing="leave_out")


def test_broken_predictions_are_an_error_or_left_out_by_name(right):
    root, dataset = right
    path = root / "im03.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BrokenSampleError, match=r"im03\.png"):
        score(root, dataset)
    with pytest.raises(BrokenSampleError, match=r"im03\.png"):
        score(root, dataset, missing="leave_out", strict=True)
    result = score(root, dataset, missing="leave_out")
    assert [item["name"] for item in result.dataset.broken] == ["im03"]


def test_predictions_of_centre_crops(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 4)
    for index, name in enumerate(dataset.names):
        mask = dataset.load_mask(index)
        assert mask is not None
        wide = np.pad(mask.numpy(), ((0, 0), (8, 8)))
        Image.fromarray(np.zeros((*wide.shape, 3), np.uint8)).save(dataset.image_path(index))
        save(tmp_path / "data" / "masks", name, wide)
        save(tmp_path / "found", name, mask.numpy())
    assert score(tmp_path / "found", dataset, crop=SIDE).metrics["miou"].mean == 100
    with pytest.raises(ValueError, match="image 48 x 32"):
        score(tmp_path / "found", dataset)


def test_without_masks_there_is_nothing_to_score_against(right, tmp_path: Path):
    dataset = write_folder(tmp_path / "bare", 2, masks=False)
    with pytest.raises(ValueError, match="no masks"):
        score(right[0], dataset)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clusters": 21}, "set kind=clusters"),
        ({"matching": "hungarian_count"}, "set kind=clusters"),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Predictions(**settings)


def test_settings_are_in_the_result(right):
    root, dataset = right
    result = score(root, dataset)
    assert result.settings == dataclasses.asdict(Predictions(**SIZES))
    assert set(result.timing_seconds) == {"labels", "checking", "scoring", "total"}
