"""Unsupervised segmentation of planted objects: two parts each, on a background nobody looks at."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from leopart_kit.backbones import Encoder
from leopart_kit.clustering import ComponentForeground, attention_foreground
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import Result, RunSettings, evaluate
from leopart_kit.evaluation.protocols.token_clusters import token_points
from leopart_kit.evaluation.protocols.unsupervised import stages as stages
from leopart_kit.evaluation.protocols.unsupervised.attention_prior import AttentionAsTokens
from leopart_kit.evaluation.protocols.unsupervised.protocol import Unsupervised
from leopart_kit.evaluation.protocols.unsupervised.selection import SearchSpace
from leopart_kit.evaluation.scores.refined_scores import refined_tables
from leopart_kit.evaluation.scores.resizing import resize_labels
from leopart_kit.evaluation.scores.scoring import score_clusters, scored_masks
from tests.evaluation.tiny_data import MeanColour, encoder_of

PATCH, SIDE = 8, 64
BACKGROUND = (20, 20, 20)
CAT, DOG = ((250, 10, 10), (10, 250, 10)), ((10, 10, 250), (240, 240, 10))


class Looking(Encoder):
    """Tokens are mean colours; the attention is on everything that is not dark."""

    def __init__(self) -> None:
        unit = (1.0, 1.0, 1.0)
        super().__init__(
            name="looking", embed_dim=3, patch_size=PATCH, mean=(0.0, 0.0, 0.0), std=unit
        )

    def patch_tokens(self, images: Tensor) -> Tensor:
        return F.avg_pool2d(images, PATCH)

    def attention(self, images: Tensor) -> Tensor:
        bright = self.patch_tokens(images).amax(dim=1, keepdim=True) > 0.5
        return bright.float() / bright.sum(dim=(2, 3), keepdim=True).clamp(min=1)


def write_objects(
    root: Path, num_images: int, *, empty: tuple[int, ...] = (), shift: int = 0
) -> Path:
    """Cats (red beside green) and dogs (blue beside yellow) in turn, at a place of their own.

    Their borders are those of patches, or lie `shift` pixels further right and below.
    """
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index in range(num_images):
        image = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if index not in empty:
            top, left = shift + PATCH * (1 + index % 3), shift + PATCH * (index % 4)
            rows = slice(top, top + 4 * PATCH)
            for half, colour in enumerate(CAT if index % 2 else DOG):
                start = left + 2 * PATCH * half
                image[rows, start : start + 2 * PATCH] = colour
            mask[rows, left : left + 4 * PATCH] = 1 if index % 2 else 2
        Image.fromarray(image).save(root / "images" / f"im{index:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"im{index:02d}.png")
    (root / "classes.txt").write_text("background\ncat\ndog\n")
    return root


def objects(root: Path, num_images: int = 20, **options: Any) -> SegmentationDataset:
    return load_dataset("folder", write_objects(root, num_images, **options), "all")


PROTOCOL = Unsupervised(
    seeds=(0, 1),
    resolution=(SIDE, SIDE),
    score_resolution=(32, 32),
    pca_dim=None,
    standardize=False,
    num_restarts=20,
    foreground_clusters=5,
    attention_mass=1.0,
    search=SearchSpace((4,), (0.1, 0.3), (1.0,), num_resamples=3),
    refinement=(),
)


@pytest.fixture
def dataset(tmp_path: Path) -> SegmentationDataset:
    return objects(tmp_path / "data")


def run(dataset: SegmentationDataset, tmp_path: Path, **options: Any) -> Result:
    train = options.pop("train", None)
    protocol = dataclasses.replace(PROTOCOL, **options)
    return evaluate(
        Looking(),
        dataset,
        protocol,
        RunSettings(cache_dir=tmp_path / "cache", shared_images="allow"),
        train=train,
    )


def comparison(result: Result) -> dict[str, float]:
    return {row["segmentation"]: row["miou"] for row in result.details["comparison"]}


@pytest.mark.parametrize("method", ["infomap", "louvain"])
def test_parts_that_lie_side_by_side_become_objects(dataset, tmp_path: Path, method):
    result = run(dataset, tmp_path, community_method=method)
    for table in result.scores:
        assert table.miou.per_seed == (100.0, 100.0)
    assert result.labels_used == dataclasses.replace(
        result.labels_used, fit=False, select=False, match=True
    )
    for found in result.details["communities"]:
        background, *parts = found["object_of_part"]
        assert background == 0
        assert sorted(parts) == [1, 1, 2, 2]
    rows = comparison(result)
    assert rows["foreground, communities by stability"] == 100
    assert rows["upper bound: parts many to one"] == 100
    assert rows["k-means, K = classes"] < 90
    assert result.details["foreground"]["jaccard"] == 100
    assert result.details["boundary"]["f_measure"] == 100
    view = result.objects
    assert view is not None
    assert {(i, j) for i, j, _ in view.edges} == {
        pair
        for pair in ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
        if view.object_of_part[pair[0]] == view.object_of_part[pair[1]]
    }
    assert view.foreground.sum() == 20 * 16


def test_labels_choose_on_the_training_images_and_the_result_says_so(dataset, tmp_path: Path):
    train = objects(tmp_path / "train", 12)
    free = run(dataset, tmp_path, train=train)
    assert not free.labels_used.select
    assert comparison(free)["foreground, communities by labels"] == 100
    assert free.details["num_images"] == {"scored": 20, "train": 12}
    tuned = run(dataset, tmp_path, train=train, select="labels")
    assert tuned.labels_used.select
    assert tuned.scores[0].miou.mean == 100
    assert tuned.details["tried"][0]["score"] == 100
    assert set(tuned.details["tried_foreground_iou"].values()) == {100.0}
    # Nothing is left to choose where everything is set.
    fixed = {"num_clusters": 4, "edge_threshold": 0.3, "markov_time": 1.0}
    fixed |= {"foreground_threshold": 0.5}
    assert not run(dataset, tmp_path, train=train, select="labels", **fixed).labels_used.select


def test_a_second_run_reuses_every_stage(dataset, tmp_path: Path, monkeypatch):
    first = run(dataset, tmp_path)

    def again(*_: object, **__: object) -> None:
        raise AssertionError("computed twice")

    monkeypatch.setattr(token_points, "cluster_points", again)
    monkeypatch.setattr(stages, "foreground_precision", again)
    assert run(dataset, tmp_path).scores == first.scores
    with pytest.raises(AssertionError, match="computed twice"):
        run(dataset, tmp_path, foreground_clusters=6)


def test_an_image_without_foreground_is_named_and_scored(tmp_path: Path):
    result = run(objects(tmp_path / "data", 21, empty=(4,)), tmp_path)
    assert result.details["foreground"]["images_without_foreground"] == ["im04"]
    assert result.scores[0].miou.mean == 100


def test_other_foregrounds_are_those_of_their_functions(dataset, tmp_path: Path):
    images = torch.stack([dataset.load_image(index) for index in range(len(dataset))])
    encoder = Looking()
    seen = encoder.preprocess(images)
    tokens = encoder.patch_tokens(seen)
    expected = {
        "attention": attention_foreground(encoder.attention(seen), 0.8),
        "component": ComponentForeground().fit(tokens).predict(tokens),
    }
    for foreground, masks in expected.items():
        result = run(dataset, tmp_path, foreground=foreground, attention_mass=0.8)
        assert result.objects is not None
        np.testing.assert_array_equal(result.objects.foreground, masks.numpy())
        assert "foreground_threshold" not in result.details["chosen"]


def test_another_encoder_can_mark_the_foreground(dataset, tmp_path: Path):
    blind = encoder_of(MeanColour())
    with pytest.raises(ValueError, match="CLS attention"):
        evaluate(blind, dataset, PROTOCOL)
    result = evaluate(blind, dataset, PROTOCOL, prior=Looking())
    assert result.scores[0].miou.mean == 100


def test_where_no_class_is_a_background_every_patch_counts(tmp_path: Path):
    """As in street scenes: the dark ground is a class to be found like the others."""
    root = write_objects(tmp_path / "data", 20)
    (root / "classes.txt").write_text("road\ncat\ndog\n")
    streets = load_dataset("folder", root, "all")
    assert not streets.has_background
    result = run(streets, tmp_path, num_clusters=5)
    assert result.details["foreground"]["share_of_patches"] == 1
    assert result.details["chosen"]["preferred_communities"] == 3
    named = [row for row in comparison(result) if "foreground" in row]
    assert not named, "there is no foreground to speak of"
    bound = comparison(result)["upper bound: parts many to one"]
    assert bound == 100
    inside = run(streets, tmp_path, num_clusters=4, foreground="clusters")
    assert inside.details["foreground"]["share_of_patches"] < 0.5


def test_without_masks_objects_are_found_and_not_scored(tmp_path: Path):
    root = write_objects(tmp_path / "data", 20)
    for file in (root / "masks").iterdir():
        file.unlink()
    (root / "masks").rmdir()
    (root / "classes.txt").unlink()
    result = run(load_dataset("folder", root, "all"), tmp_path)
    assert result.details["chosen"]["preferred_communities"] is None
    assert result.scores == ()
    assert result.labels_used.match is False
    assert result.cluster_maps is not None
    assert sorted(np.unique(result.cluster_maps).tolist()) == [0, 1, 2]


def test_refinement_stands_beside_the_result(dataset, tmp_path: Path):
    result = run(dataset, tmp_path, refinement=("bilateral_grid",))
    tables = {(table.resolution, table.refinement): table for table in result.scores}
    assert list(tables) == [
        ("32x32", "none"),
        ("full", "none"),
        ("32x32", "bilateral_grid"),
        ("full", "bilateral_grid"),
    ]
    # The borders of the patches are those of the objects: there is nothing to move.
    assert tables["full", "bilateral_grid"].miou.mean > 97
    assert len(tables["full", "bilateral_grid"].miou.per_seed) == 1
    refined = {row["segmentation"]: row for row in result.details["comparison"]}[
        "foreground, communities by stability, bilateral_grid"
    ]
    assert refined["miou"] == tables["32x32", "bilateral_grid"].miou.mean
    assert refined["num_seeds"] == 1


def test_refinement_moves_borders_to_those_of_the_image(tmp_path: Path):
    dataset = objects(tmp_path / "data", 6, shift=3)
    indices = np.arange(len(dataset))
    masks = torch.stack(
        [scored_masks(dataset, index, (SIDE, SIDE), (32, 32))[1] for index in range(6)]
    )
    # The class of each patch's centre: off by up to half a patch at the borders.
    patches = resize_labels(masks, (2 * SIDE // PATCH, 2 * SIDE // PATCH))[:, 1::2, 1::2]
    maps = {0: patches.numpy().astype(np.int32)}
    full, small = (SIDE, SIDE), (32, 32)
    coarse = score_clusters(
        dataset,
        indices,
        maps,
        3,
        rule="hungarian_iou",
        resolution=full,
        score_resolution=small,
    ).scores
    refined = refined_tables(
        dataset, indices, maps, "bilateral_grid", resolution=full, score_resolution=small
    )
    for before, after in zip(coarse, refined, strict=True):
        assert after.resolution == before.resolution
        assert before.miou.mean < 90
        assert after.miou.mean > before.miou.mean + 5


def test_attention_is_stored_where_half_precision_is_at_its_best():
    images = torch.full((1, 3, SIDE, SIDE), 0.9)
    prior = AttentionAsTokens(Looking())
    torch.testing.assert_close(prior.patch_tokens(images), torch.ones(1, 1, 8, 8))
    assert prior.embed_dim == 1
    assert prior.fingerprint() != Looking().fingerprint()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": "labels"}, "train_split"),
        ({"num_clusters": 1000}, "320 patches"),
        ({"foreground_threshold": 1.0, "num_clusters": 400}, "lower foreground_threshold"),
    ],
)
def test_what_the_data_cannot_give_is_said(dataset, tmp_path: Path, options, message):
    with pytest.raises(ValueError, match=message):
        run(dataset, tmp_path, **options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"edge_threshold": 0.1}, "edge_threshold"),
        (
            {"foreground": "component", "foreground_threshold": 0.5},
            "foreground=component has no threshold",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_named(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Unsupervised(**settings)


def test_no_edge_above_the_threshold_leaves_background_alone(dataset, tmp_path: Path):
    result = run(dataset, tmp_path, num_clusters=4, edge_threshold=1.0, markov_time=1.0)
    assert result.details["communities"][0]["num_communities"] == 0
    assert result.scores[0].per_class[0].iou == pytest.approx(100 * (1 - 16 / 64))
    assert torch.tensor([score.iou for score in result.scores[0].per_class[1:]]).eq(0).all()
