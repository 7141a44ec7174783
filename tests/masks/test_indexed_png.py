from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks.indexed_png import write_id_png, write_indexed_png

PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 255)))
def test_indexed_round_trip(tmp_path_factory: pytest.TempPathFactory, labels: np.ndarray):
    path = tmp_path_factory.mktemp("png") / "mask.png"
    write_indexed_png(path, labels, PALETTE)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), PALETTE[labels])


def test_short_palette_keeps_its_colours(tmp_path: Path):
    write_indexed_png(tmp_path / "a.png", np.array([[0, 1, 200]]), PALETTE[:2])
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), [[0, 1, 200]])
        np.testing.assert_array_equal(np.asarray(image.convert("RGB"))[0, :2], PALETTE[:2])


@pytest.mark.parametrize("wrong", [256, -1])
def test_id_that_does_not_fit_is_named(wrong: int, tmp_path: Path):
    path = tmp_path / "mask.png"
    with pytest.raises(ValueError, match=rf"mask\.png: id {wrong} does not fit"):
        write_indexed_png(path, np.array([[0, wrong]]), PALETTE)
    assert not path.exists()


@pytest.mark.parametrize("wrong", [65536, -1])
def test_id_beyond_sixteen_bit_is_named(wrong: int, tmp_path: Path):
    with pytest.raises(ValueError, match=rf"mask\.png: id {wrong} does not fit"):
        write_id_png(tmp_path / "mask.png", np.array([[0, wrong]]))


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros(4, int), np.zeros((0, 3), int)])
def test_only_maps_of_integers_are_written(labels: np.ndarray, tmp_path: Path):
    with pytest.raises(ValueError, match=r"labels.*\[H, W\]"):
        write_indexed_png(tmp_path / "mask.png", labels, PALETTE)


def test_palette_of_floats_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="palette"):
        write_indexed_png(tmp_path / "mask.png", np.zeros((1, 1), int), PALETTE / 255)


def test_sixteen_bit_round_trip(tmp_path: Path):
    labels = np.array([[0, 255, 256], [499, 40000, 65535]])
    write_id_png(tmp_path / "clusters.png", labels)
    with Image.open(tmp_path / "clusters.png") as image:
        np.testing.assert_array_equal(np.asarray(image), labels)


def test_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(OSError, match=r"gone/mask\.png"):
        write_indexed_png(tmp_path / "gone" / "mask.png", np.zeros((1, 1), int), PALETTE)


def test_cluster_colours_are_stable_and_distinct():
    few, many = cluster_palette(21), cluster_palette(500)
    np.testing.assert_array_equal(many[:21], few)
    assert len(np.unique(many, axis=0)) == 500
    assert many.dtype == np.uint8
    apart = np.abs(few[:, None].astype(int) - few[None]).sum(-1)[~np.eye(21, dtype=bool)]
    assert apart.min() > 60
    np.testing.assert_array_equal(cluster_palette(300)[:300], many[:300])


def test_palette_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="num_clusters"):
        cluster_palette(0)
