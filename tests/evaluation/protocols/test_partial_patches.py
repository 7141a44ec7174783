"""A resolution that is no whole number of patches: maps still lie where their images do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from leopart_kit.arrays import extract
from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder import whole_patches
from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import RunSettings, evaluate, extract_features, iter_masks, view_of
from leopart_kit.evaluation.protocols.in_context import InContext
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.linear_full import LinearFull
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.patch_knn import PatchKnn
from leopart_kit.evaluation.protocols.unsupervised_27 import Unsupervised27
from leopart_kit.masks import label_map, part_classes
from tests.masks.part_models import model_of

SIDE = 40  # pixels of the images; they are parted in the middle
SIZES = [(14, 20), (7, 10), (3, 22), (8, 26)]
"""A patch, and a resolution that takes an even number of them, the last ones in part."""


def colours(patch: int) -> Encoder:
    """Mean colour of every patch."""
    return Encoder.from_module(
        lambda images: F.avg_pool2d(images, patch), patch, 3, mean=[0.5] * 3, std=[0.5] * 3
    )


@given(st.integers(1, 20), st.integers(1, 70), st.integers(1, 70))
def test_a_size_is_rounded_up_to_whole_patches(patch: int, height: int, width: int):
    if min(height, width) < patch:
        with pytest.raises(ValueError, match=f"smaller than one patch of {patch} "):
            whole_patches((height, width), patch)
        return
    found = whole_patches((height, width), patch)
    for whole, side in zip(found, (height, width), strict=True):
        assert whole % patch == 0
        assert side <= whole < side + patch


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(10, 40), st.integers(10, 40), st.integers(0, 99))
def test_tokens_of_mirrored_images_are_mirrored(patch: int, height: int, width: int, seed: int):
    """Padding, which lies on the right and below, would be seen on another side."""
    images = np.random.default_rng(seed).integers(0, 256, (2, 31, 37, 3), dtype=np.uint8)
    mirrored = np.ascontiguousarray(images[:, ::-1, ::-1])
    one, other = (
        extract(colours(patch), i, resolution=(height, width)) for i in (images, mirrored)
    )
    assert one.shape[1:3] == (-(-height // patch), -(-width // patch))
    np.testing.assert_allclose(other[:, ::-1, ::-1], one, atol=2 / 127)  # images are whole numbers


def write_halves(root: Path) -> SegmentationDataset:
    """Black and white parted at the middle row or column, each picture with its negative."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    below = np.zeros((SIDE, SIDE), np.uint8)
    below[SIDE // 2 :] = 1
    for number, ids in enumerate(2 * (below, 1 - below, below.T, 1 - below.T)):
        white = np.repeat(255 * ids[..., None], 3, axis=2).astype(np.uint8)
        Image.fromarray(white).save(root / "images" / f"{number}.png")
        Image.fromarray(ids).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text("black\nwhite\n")
    return load_dataset("folder", root, "all")


CLUSTERS = {"num_clusters": 2, "seeds": (0,)}
LEARNED = {"score_resolution": (SIDE, SIDE), "batch_size": 8, "crop_scale": (1.0, 1.0)}
PROTOCOLS = {
    "overclustering": Overclustering(pca_dim=None, score_resolution=(SIDE, SIDE), **CLUSTERS),
    "unsupervised_27": Unsupervised27(**CLUSTERS),
    "in_context": InContext(
        neighbours=3, memory_size=None, score_resolution=(SIDE, SIDE), seeds=(0,)
    ),
    "patch_knn": PatchKnn(neighbours=(1,), holdout=0.25, score_resolution=(SIDE, SIDE), seeds=(0,)),
    "linear": LinearProbe(
        seeds=(0,),
        train_resolution=(10, 10),
        learning_rate=1.0,
        epochs=60,
        drop_at=50,
        augmentation=False,
        **LEARNED,
    ),
    "linear_full": LinearFull(
        stride=8,
        learning_rates=(0.1,),
        weight_decays=(0.0,),
        holdout=0.25,
        iterations=60,
        **LEARNED,
    ),
}


@pytest.mark.parametrize(("patch", "side"), SIZES)
@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_edge_is_found_at_its_pixel(tmp_path: Path, name: str, patch: int, side: int):
    dataset = write_halves(tmp_path)
    protocol = replace(PROTOCOLS[name], resolution=(side, side))
    run = RunSettings(shared_images="allow")
    result = evaluate(colours(patch), dataset, protocol, run, train=dataset)
    assert result.metrics["miou"].mean == 100
    seen = view_of(protocol, dataset)
    for row, (_, found) in enumerate(iter_masks(result, seen)):
        np.testing.assert_array_equal(found, seen.load_mask(row))


@pytest.mark.parametrize(("patch", "side"), SIZES)
@pytest.mark.parametrize("upsampling", ["linear", "nearest"])
def test_parts_are_exported_where_they_are(tmp_path: Path, patch: int, side: int, upsampling):
    dataset, encoder = write_halves(tmp_path), colours(patch)
    store = extract_features(encoder, dataset, cache_dir=tmp_path / "x", resolution=(side, side))
    model = model_of(2, resolution=(side, side))  # clusters 0 and 1 at 0 and 1
    for index in range(len(dataset)):
        tokens = store.token_map(index)[..., :1] / 2 + 0.5
        labels = label_map(model, part_classes(model), tokens, (SIDE, SIDE), patch, upsampling)
        np.testing.assert_array_equal(labels - 1, dataset.load_mask(index))
