from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from leopart_kit.clustering.projection import Standardizer
from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols import patch_knn
from leopart_kit.evaluation.protocols.patch_classifiers.measure import held_out
from leopart_kit.evaluation.protocols.patch_classifiers.patches import (
    Patches,
    most_frequent_classes,
)
from leopart_kit.evaluation.protocols.patch_knn import PatchKnn
from leopart_kit.evaluation.protocols.patch_logistic import PatchLogistic, predict
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.report.results_json import to_json, validate
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder

SIZES: dict[str, Any] = {"resolution": (SIDE, SIDE), "score_resolution": (SIDE, SIDE)}
KNN = PatchKnn(**SIZES, neighbours=(1, 3))
LOGISTIC = PatchLogistic(**SIZES, strengths=(0.01, 1.0, 100.0))
ALLOWED = RunSettings(shared_images="allow")


def patches_of(tokens: np.ndarray, labels: np.ndarray, first: int, last: int) -> Patches:
    """Images `first` to `last` of tokens `[N, h·w, D]`, which stay as they are."""
    store = SimpleNamespace(
        tokens=tokens,
        indices=np.arange(len(tokens)),
        grid=(tokens.shape[1], 1),
        embed_dim=tokens.shape[2],
        folder=Path("store"),
    )
    width = tokens.shape[2]
    same = Standardizer.from_state_dict({"mean": torch.zeros(width), "std": torch.ones(width)})
    return Patches(store, same, np.arange(first, last), labels)  # type: ignore[arg-type]


def drawn(seed: int, images: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Tokens around the centre of their class, some of none (255), as a store holds them."""
    draw = np.random.default_rng(seed)
    labels = draw.choice([1, 4, 7, 255], (images, 9), p=[0.3, 0.3, 0.3, 0.1]).astype(np.uint8)
    tokens = draw.normal(size=(images, 9, 5)) + np.eye(5)[labels % 5]
    return tokens.astype(np.float16), labels


def flat(tokens: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = labels.ravel() != 255
    return tokens.reshape(-1, tokens.shape[-1]).astype(np.float32)[kept], labels.ravel()[kept]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(3))
def test_neighbours_vote_as_in_scikit_learn(tmp_path: Path, distance: Any, seed: int, monkeypatch):
    monkeypatch.setattr(patch_knn, "_IMAGES", 2)
    tokens, labels = drawn(seed)
    known, asked = (patches_of(tokens, labels, *ends) for ends in ((0, 8), (8, 12)))
    wanted = {str(k): k for k in (1, 3, 10, 30)}
    task: Any = SimpleNamespace(run=RunSettings())
    cache = StageCache(tmp_path, {})
    found = patch_knn._vote(known, asked, distance, wanted, cache, task)
    for name, k in wanted.items():
        reference = KNeighborsClassifier(k, metric=distance, algorithm="brute")
        reference.fit(*flat(tokens[:8], labels[:8]))
        expected = reference.predict(tokens[8:].reshape(-1, 5).astype(np.float32))
        assert np.array_equal(found[name].ravel(), expected)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=8))
def test_the_lowest_of_equally_frequent_classes_wins(rows: list[list[int]]):
    expected = [int(np.bincount(row).argmax()) for row in rows]
    found = patch_knn.majority(torch.tensor(rows, dtype=torch.uint8))
    assert found.tolist() == expected


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_the_regression_is_that_of_scikit_learn(strength: float):
    tokens, labels = drawn(0)
    known = patches_of(tokens, labels, 0, 12)
    fitted = replace(LOGISTIC, tolerance=1e-7).fit(known, strength, "cpu")
    reference = LogisticRegression(C=strength, tol=1e-9, max_iter=5000)
    x, y = flat(tokens, labels)
    reference.fit(x, y)
    assert fitted["classes"].tolist() == reference.classes_.tolist() == [1, 4, 7]
    np.testing.assert_allclose(fitted["weights"], reference.coef_, atol=2e-3)
    # Biases are free up to a constant.
    own, other = (b - np.mean(b) for b in (fitted["bias"], reference.intercept_))
    np.testing.assert_allclose(own, other, atol=2e-3)
    found = predict(known, fitted, "cpu")[labels != 255]
    assert np.mean(found == reference.predict(x)) > 0.97


def test_a_patch_is_of_its_most_frequent_class():
    counts = torch.tensor([[0, 3, 2], [2, 2, 0], [0, 0, 0]])
    assert most_frequent_classes(counts).tolist() == [1, 0, 255]


@pytest.mark.parametrize("protocol", [KNN, LOGISTIC], ids=lambda p: p.name)
def test_colours_are_named_and_a_second_run_computes_nothing(tmp_path: Path, protocol, monkeypatch):
    train, val = write_folder(tmp_path / "train", 12), write_folder(tmp_path / "val", 5)
    run = RunSettings(cache_dir=tmp_path / "cache", shared_images="allow")
    result = evaluate(encoder_of(MeanColour()), val, protocol, run, train=train)
    assert result.metrics["miou"].mean == 100
    validate(to_json(result))
    details = result.details
    assert len(details["miou_on_held_out_images"]["0"]) in (3, 4)
    assert details["training_patches"] == 12 * 16
    fn = MeanColour()
    monkeypatch.setattr(patch_knn, "nearest_neighbours", None)
    monkeypatch.setattr(PatchLogistic, "fit", None)
    again = evaluate(encoder_of(fn), val, protocol, run, train=train)
    assert again.metrics == result.metrics
    assert not fn.batches


def test_the_choice_is_made_on_training_images_alone(tmp_path: Path):
    train, val = write_folder(tmp_path / "train", 10), write_folder(tmp_path / "val", 4)
    other = write_folder(tmp_path / "other", 7)
    chosen = [
        evaluate(encoder_of(MeanColour()), one, KNN, ALLOWED, train=train).details
        for one in (val, other)
    ]
    assert chosen[0]["miou_on_held_out_images"] == chosen[1]["miou_on_held_out_images"]
    rest, held = held_out(10, 0.1, 0)
    assert (len(rest), len(held)) == (9, 1)
    assert sorted([*rest, *held]) == list(range(10))


@pytest.mark.parametrize(
    ("protocol", "images", "message"),
    [
        (replace(KNN, neighbours=(1, 1000)), 10, "1000 neighbours .*protocol.neighbours"),
        (KNN, 1, "1 training"),
        (LOGISTIC, 2, "training images"),
    ],
)
def test_what_the_training_images_cannot_give_is_named(tmp_path, protocol, images, message):
    train, val = write_folder(tmp_path / "train", images), write_folder(tmp_path / "val", 4)
    with pytest.raises(ValueError, match=message):
        evaluate(encoder_of(MeanColour()), val, protocol, ALLOWED, train=train)


def test_no_training_images_and_one_class_are_named(tmp_path: Path):
    val = write_folder(tmp_path / "val", 4)
    for protocol in (KNN, LOGISTIC):
        with pytest.raises(ValueError, match=r"protocol\.train_split"):
            evaluate(encoder_of(MeanColour()), val, protocol)
    tokens, labels = drawn(0)
    with pytest.raises(ValueError, match="1 class"):
        LOGISTIC.fit(patches_of(tokens, np.full_like(labels, 4), 0, 3), 1.0, "cpu")
