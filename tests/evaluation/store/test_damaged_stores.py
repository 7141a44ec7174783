"""Caches that were changed or damaged: never believed, never in the way, made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.data import load_dataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.evaluation.store.store_files import StageCache
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder

FILES = ("tokens.npy", "status.npy", "checksums.npy", "broken.json", "seal.json", "store.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stores")
    write_folder(root / "data", 5)
    np.save(root / "expected.npy", extracted(root).tokens)
    return root


def extracted(place: Path) -> FeatureStore:
    dataset = load_dataset("folder", place / "data", "all")
    return extract_features(
        encoder_of(MeanColour()), dataset, cache_dir=place / "cache", resolution=(SIDE, SIDE)
    )


def check(place: Path) -> None:
    """The features are those of the images, now and when they are asked for once more."""
    for _ in range(2):
        store = extracted(place)
        assert store.indices.tolist() == [0, 1, 2, 3, 4]
        assert store.tokens.dtype == np.float16
        np.testing.assert_array_equal(store.tokens, np.load(place / "expected.npy"))


@settings(max_examples=60)
@given(
    name=st.sampled_from(FILES),
    place_in_file=st.floats(0, 1),
    instead=st.none() | st.binary(max_size=8),
)
def test_bytes_that_changed_give_the_same_features(
    place: Path, name: str, place_in_file: float, instead: bytes | None
):
    file = extracted(place).folder / name
    whole = file.read_bytes()
    start = int(place_in_file * len(whole))
    rest = b"" if instead is None else instead + whole[start + 4 :]
    file.write_bytes(whole[:start] + rest)
    check(place)


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((5, 16, 3), np.float16),
        np.zeros((5, 16, 3), np.float32),
        np.zeros((4, 16, 3), np.float16),
        np.zeros((5, 16, 4), np.float16),
        np.asfortranarray(np.ones((5, 16, 3), np.float16)),
        np.array(["x"]),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_other_arrays_in_place_of_the_tokens_are_named(
    place: Path, other: np.ndarray, caplog: pytest.LogCaptureFixture
):
    np.save(extracted(place).folder / "tokens.npy", other)
    check(place)
    assert "tokens.npy" in caplog.text


def test_features_that_are_as_they_were_are_not_read_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    extracted(place)

    def read(_: object) -> int:
        raise AssertionError("the tokens were read")

    monkeypatch.setattr("leopart_kit.evaluation.store.store_files.checksum", read)
    extracted(place)


@settings(max_examples=150)
@given(place_in_file=st.floats(0, 0.999), flip=st.none() | st.integers(1, 255))
def test_a_damaged_stage_is_made_anew(
    tmp_path_factory: pytest.TempPathFactory, place_in_file: float, flip: int | None
):
    cache = StageCache(tmp_path_factory.getbasetemp() / "stages", {"of": "a test"})
    arrays = {"a": np.arange(6.0), "b": np.array([1, 2])}
    cache.get("kmeans", {}, lambda: arrays)
    file = cache.path("kmeans", {})
    whole = bytearray(file.read_bytes())
    at = int(place_in_file * len(whole))
    if flip is None:
        whole = whole[:at]
    else:
        whole[at] ^= flip
    file.write_bytes(whole)
    found = cache.get("kmeans", {}, lambda: arrays)
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"], arrays["a"])
    np.testing.assert_array_equal(found["b"], arrays["b"])
