"""Linear and FCN probes from features to scores, on colours that a linear layer can tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import LinearHead, Result, RunSettings, evaluate, iter_masks, save_head
from leopart_kit.evaluation.protocols.fcn import FcnProbe
from leopart_kit.evaluation.protocols.linear import LinearProbe
from leopart_kit.evaluation.protocols.probes import heads as probe_heads
from leopart_kit.evaluation.segmentation_heads import load_head
from tests.evaluation.tiny_data import NAMES, MeanColour, encoder_of, write_folder

SMALL: dict[str, Any] = {
    "resolution": (32, 32),
    "train_resolution": (4, 4),
    "score_resolution": (4, 4),
    "seeds": (0, 1),
    "batch_size": 4,
    "epochs": 30,
    "drop_at": 25,
    "learning_rates": (1e-6, 1.0),
}


@pytest.fixture
def train(tmp_path: Path) -> SegmentationDataset:
    return write_folder(tmp_path / "train", 12)


@pytest.fixture
def val(tmp_path: Path) -> SegmentationDataset:
    return write_folder(tmp_path / "val", 5)


def probe(
    val: SegmentationDataset,
    train: SegmentationDataset | None,
    cache_dir: Path | None = None,
    encoder: Any = None,
    **settings: Any,
) -> Result:
    protocol = LinearProbe(**{**SMALL, **settings})
    run = RunSettings(cache_dir=cache_dir, shared_images="allow")
    return evaluate(encoder or encoder_of(MeanColour()), val, protocol, run, train=train)


def test_colours_are_learnt_and_every_image_is_scored(val, train):
    result = probe(val, train)
    assert result.scores[0].resolution == "4x4"
    assert result.scores[0].miou.per_seed == (100.0, 100.0)
    assert result.dataset.num_images == 5
    assert sum(score.pixels for score in result.scores[0].per_class) == 5 * 16
    used = result.labels_used
    assert (used.fit, used.select, used.match) == (True, False, False)
    assert result.matching is None
    for (name, mask), index in zip(iter_masks(result, val), range(5), strict=True):
        assert name == val.names[index]
        np.testing.assert_array_equal(mask, val.load_mask(index))


def test_the_learning_rate_is_chosen_on_held_out_training_images(val, train):
    found = probe(val, train).details
    assert found["learning_rate"] == 1.0
    tried = found["miou_on_held_out_images"]
    assert tried["1"] == 100.0
    assert tried["1e-06"] < 80


def test_the_images_that_are_measured_teach_nothing(val, train, tmp_path: Path):
    """Other ground truth for the same images: other scores, the same heads and learning rate."""
    before = probe(val, train)
    for file in sorted((tmp_path / "val" / "masks").glob("*.png")):
        mask = np.array(Image.open(file))
        Image.fromarray((mask + 1) % 4).save(file)
    after = probe(load_dataset("folder", tmp_path / "val", "all"), train)
    assert after.scores[0].miou.mean == 0
    assert after.details["learning_rate"] == before.details["learning_rate"]
    for seed, head in before.heads.items():
        for name, value in head.state_dict().items():
            assert torch.equal(value, after.heads[seed].state_dict()[name])


def test_held_out_images_are_not_trained_on(val, train, monkeypatch):
    trained: list[list[int]] = []
    scored: list[int] = []
    stored, miou = probe_heads.stored_batches, probe_heads.HeadTraining._miou

    def batches(store, targets, places, batch_size, seed):
        trained.append(places.tolist())
        return stored(store, targets, places, batch_size, seed)

    def rated(self, head, store, places, targets):
        scored[:] = places.tolist()
        return miou(self, head, store, places, targets)

    monkeypatch.setattr(probe_heads, "stored_batches", batches)
    monkeypatch.setattr(probe_heads.HeadTraining, "_miou", rated)
    probe(val, train, seeds=(0,), holdout=0.25)
    chosen_on, final = trained
    assert len(scored) == 3
    assert sorted(chosen_on + scored) == list(range(12))
    assert sorted(final) == list(range(12)), "the final head sees all of them"


def test_a_rate_at_which_training_diverges_is_told_and_never_chosen(val, train):
    # Weights times (1 - rate x decay) at every step: 0.9 at the one, -99 at the other.
    # Half of the images are held out: naming everything background would not score 0 on them.
    diverges: dict[str, Any] = {"weight_decay": 10.0, "momentum": 0.0, "holdout": 0.5}
    chosen = probe(val, train, learning_rates=(0.01, 10.0), **diverges)
    assert chosen.details["learning_rate"] == 0.01
    assert chosen.details["miou_on_held_out_images"]["10"] == 0
    with pytest.raises(ValueError, match="rate 10"):
        probe(val, train, learning_rate=10.0, **diverges)


def test_as_released_chooses_the_epoch_by_the_first_measured_images(val, train):
    result = probe(val, train, selection="as_released", learning_rate=1.0)
    assert result.labels_used.select
    assert result.scores[0].miou.mean == 100.0
    with pytest.raises(ValueError, match="as_released"):
        LinearProbe(selection="as_released")


def test_a_second_run_reuses_rate_and_heads(val, train, tmp_path: Path, monkeypatch):
    first = probe(val, train, tmp_path / "cache")

    def fail(*args: Any, **kwargs: Any):
        raise AssertionError("trained again")

    monkeypatch.setattr("leopart_kit.evaluation.protocols.probes.heads.fit_heads", fail)
    again = probe(val, train, tmp_path / "cache")
    assert again.metrics == first.metrics
    with pytest.raises(AssertionError, match="trained again"):
        probe(val, train, tmp_path / "cache", epochs=29)


def test_a_class_that_no_training_image_shows_is_named(val, tmp_path: Path, caplog):
    train = write_folder(tmp_path / "poor", 8, num_classes=3)
    (tmp_path / "poor" / "classes.txt").write_text("\n".join(NAMES) + "\n")
    train = load_dataset("folder", tmp_path / "poor", "all")
    result = probe(val, train, learning_rate=1.0)
    assert result.details["classes_missing_from_train"] == ["sheep"]
    assert "sheep" in caplog.text
    assert next(s for s in result.scores[0].per_class if s.name == "sheep").iou == 0


def test_a_broken_training_image_is_left_out_and_named(val, train, tmp_path: Path):
    (tmp_path / "train" / "images" / "im03.png").write_bytes(b"no image")
    details = probe(val, load_dataset("folder", tmp_path / "train", "all"), learning_rate=1.0)
    assert details.details["training_images"] == 11
    [left_out] = details.details["training_images_left_out"]
    assert left_out["name"] == "im03"
    assert "im03.png" in left_out["reason"]


def test_training_images_are_asked_for(val, tmp_path: Path):
    with pytest.raises(ValueError, match=r"protocol\.train_split"):
        probe(val, None)
    write_folder(tmp_path / "bare", 3, masks=False)
    with pytest.raises(ValueError, match="no masks"):
        probe(val, load_dataset("folder", tmp_path / "bare", "all"))
    with pytest.raises(ValueError, match="other classes"):
        probe(val, write_folder(tmp_path / "three", 3, num_classes=3))
    with pytest.raises(ValueError, match="1 training"):
        probe(val, write_folder(tmp_path / "one", 1))


def test_a_share_of_the_training_images_is_drawn_by_seed(val, train, tmp_path: Path, monkeypatch):
    seen: dict[int, list[int]] = {}

    def batches(store, targets, places, batch_size, seed):
        seen[seed] = places.tolist()
        return lambda epoch: iter(())

    monkeypatch.setattr("leopart_kit.evaluation.protocols.probes.heads.stored_batches", batches)
    probe(val, train, train_share=0.25, learning_rate=1.0)
    assert [len(places) for places in seen.values()] == [3, 3]
    assert seen[0] != seen[1]


def test_augmentation_learns_the_same_colours(val, train):
    result = probe(val, train, augmentation=True, learning_rate=1.0, seeds=(0,))
    assert result.scores[0].miou.mean == 100.0


def test_a_saved_head_labels_another_folder(val, train, tmp_path: Path):
    result = probe(val, train)
    path = save_head(result.heads[0], tmp_path / "head.safetensors", val.class_names)
    again = probe(val, None, head=path)
    assert again.metrics["miou"].mean == 100.0
    assert len(again.metrics["miou"].per_seed) == 1

    write_folder(tmp_path / "bare", 3, masks=False)
    bare = load_dataset("folder", tmp_path / "bare", "all")
    masks = dict(iter_masks(probe(bare, None, head=path), bare))
    labelled = write_folder(tmp_path / "labelled", 3)
    for index, mask in enumerate(masks.values()):
        np.testing.assert_array_equal(mask, labelled.load_mask(index))


def test_a_head_that_does_not_fit_is_refused(val, tmp_path: Path):
    path = save_head(LinearHead(3, 4), tmp_path / "head.safetensors", tuple(NAMES))
    with pytest.raises(ValueError, match="is a linear head"):
        load_head(path, "fcn", 3, tuple(NAMES))
    with pytest.raises(ValueError, match="of 3 dimensions"):
        load_head(path, "linear", 5, tuple(NAMES))
    with pytest.raises(ValueError, match="predicts 4 classes"):
        load_head(path, "linear", 3, ("a", "b"))
    with pytest.raises(FileNotFoundError, match="no head at"):
        load_head(tmp_path / "none.safetensors", "linear", 3, ())
    (tmp_path / "text").write_text("no head")
    with pytest.raises(ValueError, match="no head"):
        load_head(tmp_path / "text", "linear", 3, ())


def test_an_fcn_probe_learns_the_colours_and_its_head_comes_back(val, train, tmp_path: Path):
    settings = {**SMALL, "seeds": (0,), "learning_rates": (0.1, 0.3), "epochs": 40}
    protocol = FcnProbe(**settings, channels=16, head_resolution=None)
    result = evaluate(
        encoder_of(MeanColour()), val, protocol, RunSettings(shared_images="allow"), train=train
    )
    assert result.protocol == "fcn"
    assert result.scores[0].miou.mean > 95
    path = save_head(result.heads[0], tmp_path / "head.safetensors", val.class_names)
    loaded = load_head(path, "fcn", 3, tuple(val.class_names))
    tokens = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(loaded(tokens), result.heads[0](tokens))
