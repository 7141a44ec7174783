"""The protocol of 27 classes on crops and colours that can be worked out by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from leopart_kit.data import CenterCrops, SegmentationDataset, load_dataset
from leopart_kit.evaluation import (
    Result,
    RunSettings,
    collect_samples,
    evaluate,
    iter_masks,
    view_of,
)
from leopart_kit.evaluation.protocols.unsupervised_27 import Unsupervised27
from leopart_kit.masks import dense_crf_available
from tests.evaluation.tiny_data import COLOURS, MeanColour, encoder_of, write_folder

SIDE = 32
PROTOCOL = Unsupervised27(
    seeds=(0,),
    crop=SIDE,
    resolution=(SIDE, SIDE),
    score_resolution=(SIDE, SIDE),
    refinement=("bilateral_grid",),
)


def write_wide(root: Path, num_images: int = 4) -> SegmentationDataset:
    """Images of `write_folder` with a margin of 16 columns of class 3 on both sides."""
    write_folder(root, num_images, num_classes=4)
    for index in range(num_images):
        path = root / "masks" / f"im{index:02d}.png"
        ids = np.pad(np.asarray(Image.open(path)) % 3, ((0, 0), (16, 16)), constant_values=3)
        Image.fromarray(ids).save(path)
        Image.fromarray(COLOURS[ids]).save(root / "images" / f"im{index:02d}.png")
    (root / "classes.txt").write_text("cat\ndog\nsheep\nmargin\n")
    return load_dataset("folder", root, "all")


def run(dataset: SegmentationDataset, cache_dir: Path, fn=None, **settings) -> Result:
    protocol = dataclasses.replace(PROTOCOL, **settings)
    return evaluate(
        encoder_of(fn or MeanColour()), dataset, protocol, RunSettings(cache_dir=cache_dir)
    )


def test_crops_are_clustered_and_scored(tmp_path: Path):
    dataset = write_wide(tmp_path / "data")
    result = run(dataset, tmp_path, num_clusters=3)
    assert result.dataset.classes_present == (0, 1, 2), "the margin is cut off"
    # Three of four classes are right; the fourth has an empty union.
    assert result.metrics["miou"].mean == pytest.approx(75)
    assert result.metrics["miou_union"].mean == 100
    assert result.metrics["pixel_accuracy"].mean == 100
    assert result.matching is not None
    assert result.matching.rule == "hungarian_count"
    assert [(t.resolution, t.refinement) for t in result.scores] == [
        ("32x32", "none"),
        ("32x32", "bilateral_grid"),
    ]
    assert set(result.per_image) == {"32x32"}
    assert result.confusion is not None
    assert result.confusion.sum() == 4 * SIDE * SIDE


def test_masks_and_pictures_are_those_of_the_crops(tmp_path: Path):
    dataset = write_wide(tmp_path / "data")
    result = run(dataset, tmp_path, num_clusters=3)
    crops = view_of(PROTOCOL, dataset)
    assert isinstance(crops, CenterCrops)
    for index, (_, mask) in enumerate(iter_masks(result, crops)):
        np.testing.assert_array_equal(mask, crops.load_mask(index))
    assert collect_samples(result, crops, 1)[0].image.shape == (SIDE, SIDE, 3)
    for look in (
        lambda: list(iter_masks(result, dataset)),
        lambda: collect_samples(result, dataset, 1),
    ):
        with pytest.raises(ValueError, match="view_of"):
            look()
    again = evaluate(encoder_of(MeanColour()), crops, dataclasses.replace(PROTOCOL, num_clusters=3))
    assert again.metrics == result.metrics, "crops are not cut twice"


def test_an_extra_cluster_is_wrong_and_never_the_background(tmp_path: Path):
    write_folder(tmp_path / "data", 4)  # the first class is called background
    for path in (tmp_path / "data" / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)  # two colours a class
    (tmp_path / "data" / "classes.txt").write_text("background\nanimal\n")
    dataset = load_dataset("folder", tmp_path / "data", "all")
    assert dataset.has_background
    result = run(dataset, tmp_path, num_clusters=4)
    assert result.matching is not None
    assert sorted(result.matching.cluster_to_class[0]) == [-1, -1, 0, 1]
    # Each class keeps one of its two colours, half of its pixels; nothing else is given to it.
    for table in result.scores[:1]:
        assert table.miou.mean == pytest.approx(50)
        assert table.pixel_accuracy.mean == pytest.approx(50)
    assert result.confusion is not None
    assert result.confusion.tolist() == [[1024, 0, 1024], [0, 1024, 1024]]


class RightBorder(torch.nn.Module):
    """Colour of the last column of each patch: not the same from both sides."""

    def forward(self, images: Tensor) -> Tensor:
        return images[..., 4::8, 7::8]


def test_tokens_are_those_of_both_directions(tmp_path: Path):
    dataset = write_wide(tmp_path / "data")
    run(dataset, tmp_path / "both", RightBorder(), num_clusters=3)
    run(dataset, tmp_path / "one", RightBorder(), num_clusters=3, mirrored=False)
    (both,), (one,) = (
        [np.load(path) for path in (tmp_path / name).rglob("tokens.npy")]
        for name in ("both", "one")
    )
    crops = view_of(PROTOCOL, dataset)
    image = crops.load_image(0).permute(1, 2, 0).numpy() / 255
    last, first = image[4::8, 7::8].reshape(16, 3), image[4::8, 0::8].reshape(16, 3)
    np.testing.assert_allclose(one[0], last, atol=1e-3)
    np.testing.assert_allclose(both[0], (last + first) / 2, atol=1e-3)


def test_a_linear_probe_stands_beside_where_there_are_training_images(tmp_path: Path):
    dataset = write_wide(tmp_path / "data", 8)
    protocol = dataclasses.replace(PROTOCOL, num_clusters=3)
    run_settings = RunSettings(cache_dir=tmp_path, shared_images="allow")
    encoder = encoder_of(MeanColour())
    alone = evaluate(encoder, dataset, protocol, run_settings)
    assert [row["segmentation"] for row in alone.details["comparison"]] == [
        "k-means, K = 3",
        "k-means, K = 3, bilateral_grid",
    ]
    result = evaluate(encoder, dataset, protocol, run_settings, train=dataset)
    (row,) = (r for r in result.details["comparison"] if r["kind"] == "linear_probe")
    assert row["pixel_accuracy"] > 90
    assert result.labels_used == alone.labels_used, "the headline saw no label but to be named"
    assert result.scores == alone.scores


def test_the_crf_of_the_papers_where_it_is_installed(tmp_path: Path):
    result = run(write_wide(tmp_path / "data"), tmp_path, num_clusters=3, refinement=None)
    wanted = "dense_crf" if dense_crf_available() else "bilateral_grid"
    assert [table.refinement for table in result.scores] == ["none", wanted]


def test_another_score_resolution_has_the_full_crops_beside_it(tmp_path: Path):
    dataset = write_wide(tmp_path / "data")
    result = run(dataset, tmp_path, num_clusters=3, score_resolution=(16, 16), refinement=())
    assert [table.resolution for table in result.scores] == ["16x16", "full"]


def test_without_masks_the_number_of_clusters_must_be_given(tmp_path: Path):
    dataset = write_folder(tmp_path / "data", 3, masks=False)
    with pytest.raises(ValueError, match="set num_clusters"):
        run(dataset, tmp_path)
    result = run(dataset, tmp_path, num_clusters=4)
    assert result.scores == ()
    assert result.details["comparison"] == []
