"""STEGO: neighbours, the loss of its parts, a run that goes on, and what the command leaves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from leopart_kit.cli import eval_segmentation
from leopart_kit.cli import train as train_cli
from leopart_kit.data import load_dataset
from leopart_kit.data.five_crops import FiveCrops
from leopart_kit.losses import stego_correlation
from leopart_kit.losses.stego_correlation import sample_points
from leopart_kit.methods.stego import Stego, StegoSettings, StoredPairs, neighbours_of
from leopart_kit.methods.stego_encoder import StegoEncoder, StegoHead, load_stego
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    build_fabric,
    train,
)
from tests.cli.command import error_of_command, run_command_line
from tests.cli.train_command import write_images
from tests.image_level.methods.tiny_image_methods import Stopped, _stop_before
from tests.methods.tiny_clusterer import DIM, patchy_images, tiny_vit
from tests.training.test_training_resume import assert_same, last_state

NUM = 12


def stored(num: int = NUM) -> Any:
    encoder = tiny_vit()
    with torch.no_grad():
        tokens = encoder.patch_tokens(encoder.preprocess(patchy_images(num)))
    rows = tokens.flatten(2).transpose(1, 2)

    def chunks():
        yield from (chunk.flatten(0, 1) for chunk in rows.split(5))

    return SimpleNamespace(tokens=rows.numpy(), indices=np.arange(num), grid=(6, 6), chunks=chunks)


def method(**options: Any) -> Stego:
    torch.manual_seed(3)
    encoder = StegoEncoder(tiny_vit(), StegoHead(DIM, 5), torch.randn(4, 5))
    return Stego(encoder, StegoSettings(num_points=3, num_clusters=4, code_dim=5, **options))


def test_neighbours_are_those_of_the_mean_features():
    tokens = stored()
    means = F.normalize(torch.from_numpy(tokens.tokens).mean(dim=1), dim=1)
    alike = means @ means.T
    alike.fill_diagonal_(-2)
    expected = alike.topk(3, dim=1).indices
    np.testing.assert_array_equal(neighbours_of(tokens, 3), expected)
    with pytest.raises(ValueError, match="num_neighbours"):
        neighbours_of(stored(3), 3)


def test_the_loss_is_that_of_its_parts():
    made = method(dropout=0.0, num_random=1)
    made.encoder.head.dropout.p = 0.0
    pairs = StoredPairs(stored(), neighbours_of(stored(), 2))
    batch = default_collate([pairs.draw(row) for row in range(2)])  # two: the other is the other
    torch.manual_seed(9)
    output = made(batch, 0)
    torch.manual_seed(9)
    here, there, elsewhere = (2 * torch.rand(2, 3, 3, 2) - 1 for _ in range(3))
    head = made.encoder.head
    features, near = batch.features, batch.neighbour
    codes, near_codes = head(features), head(near)
    own = sample_points(features, here), sample_points(codes, here)
    places = [there, elsewhere.flip(0)]
    flipped = features.flip(0), codes.flip(0)
    terms = [
        stego_correlation(own[0], own[0], own[1], own[1], 0.18),
        *(
            stego_correlation(
                own[0], sample_points(f, place), own[1], sample_points(c, place), shift
            )
            for (f, c), place, shift in zip(
                [(near, near_codes), flipped], places, [0.12, 0.46], strict=True
            )
        ),
    ]
    cosines = F.cosine_similarity(
        codes.flatten(2).transpose(1, 2)[:, :, None], made.encoder.centroids[None, None], dim=-1
    )
    expected = 0.67 * terms[0] + 0.25 * terms[1] + 0.63 * terms[2] - cosines.amax(-1).mean()
    torch.testing.assert_close(output.loss, expected)


def test_the_probe_does_not_move_the_head_and_the_backbone_stands_still():
    made = method(self_weight=0.0, neighbour_weight=0.0, random_weight=0.0)
    pairs = StoredPairs(stored(), neighbours_of(stored(), 2))
    made(default_collate([pairs.draw(row) for row in range(4)]), 0).loss.backward()
    assert made.encoder.centroids.grad is not None
    assert made.encoder.centroids.grad.any()
    assert all(p.grad is None or not p.grad.any() for p in made.encoder.head.parameters())
    assert all(p.grad is None for p in made.encoder.backbone.parameters())


def run(folder: Path, stop_at: int | None = None) -> None:
    made = method(learning_rate=1e-2)
    pairs = StoredPairs(stored(), neighbours_of(stored(), 3))
    loader = TrainingLoader(SeededSamples(pairs, pairs.draw, seed=4), 4)
    settings = TrainingSettings(max_steps=6, momentum=0.0, log_every=1, checkpoint_every=1)
    if stop_at is not None:
        _stop_before(made, stop_at)
    train(made, loader, settings, folder, fabric=build_fabric("cpu"))


def test_a_run_that_was_broken_off_ends_as_if_it_had_not_been(tmp_path: Path):
    with pytest.raises(Stopped):
        run(tmp_path / "resumed", stop_at=3)
    run(tmp_path / "resumed")
    run(tmp_path / "whole")
    assert_same(last_state(tmp_path / "resumed"), last_state(tmp_path / "whole"))


def test_five_crops_are_the_corners_and_the_middle(tmp_path: Path):
    whole = load_dataset("scenes", tmp_path, "val", num_images=2, image_size=(40, 60))
    crops = FiveCrops(whole)
    image = whole.load_image(1)
    places = [(0, 0), (0, 30), (20, 0), (20, 30), (10, 15)]
    assert len(crops) == 10
    for number, (top, left) in enumerate(places):
        expected = image[:, top : top + 20, left : left + 30]
        assert torch.equal(crops.load_image(5 + number), expected)
        assert crops.image_size(5 + number) == (20, 30)
    first = whole.load_image(0)[:, :20, :30]
    assert torch.equal(crops.load_image(0), first), "another image than the one before"
    assert crops.fingerprint() != whole.fingerprint()


def test_from_the_command_line_to_learned_clusters(tmp_path: Path):
    scenes = [
        "dataset=scenes", f"dataset.root={tmp_path / 'scenes'}", "dataset.num_images=6",
        "dataset.image_size=[64,64]",
    ]  # fmt: skip
    small = [
        *scenes, "dataset.split=train", "method=stego", "encoder=timm", "encoder.name=test_vit",
        "encoder.weights=random", "method.crop_size=64", "method.num_clusters=6", "batch_size=4",
        "method.self_shift=null", "trainer.max_steps=2", "accelerator=cpu",
        "evaluation.page_images=0", "evaluation.protocol.seeds=[0]",
        "evaluation.protocol.resolution=[64,64]",
        "evaluation.protocol.num_clusters=3", "evaluation.protocol.pca_dim=5",
    ]  # fmt: skip
    run_command_line(train_cli.main, "leopart train", [*small, f"output_dir={tmp_path / 'run'}"])
    saved = tmp_path / "run/backbone.safetensors"
    encoder = load_stego(saved, "test_vit")
    assert encoder.centroids.shape == (6, 70)
    evaluate = [
        *scenes, "protocol=unsupervised_27", "protocol.resolution=[64,64]", "protocol.crop=64",
        "protocol.score_resolution=[64,64]", "protocol.train_split=null", "protocol.seeds=[0]",
        f"output_dir={tmp_path / 'out'}", "protocol.clusters=learned", "protocol.refinement=[]",
    ]  # fmt: skip
    own = [
        "encoder=custom", "encoder.factory=leopart_kit.methods.stego_encoder:load_stego",
        f"encoder.factory_options={{weights: {saved}, name: test_vit}}",
    ]  # fmt: skip
    run_command_line(eval_segmentation.main, "leopart eval", [*evaluate, *own])
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["details"]["num_clusters"] == 6
    assert results["details"]["comparison"][0]["kind"] == "learned_clusters"
    line = error_of_command(
        eval_segmentation.main, "leopart eval", [*evaluate, "encoder=handcrafted"]
    )
    assert "protocol.clusters" in line
    with pytest.raises(ValueError, match=r"backbone\.safetensors"):
        load_stego(saved, "test_vit2")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["batch_size=1"], "batch_size"),
        (["batch_size=1", "trainer.accumulate_steps=4"], "batch_size"),
        (["dataset.limit=1"], "method.num_neighbours"),
        (["method.num_neighbours=30"], "method.num_neighbours"),
        (["method.five_crops=false"], "method.num_neighbours"),
    ],
)
def test_what_cannot_work_is_told_before_any_feature(words: list[str], told: str, tmp_path: Path):
    root = write_images(tmp_path / "images", 6)
    run = [
        "dataset=folder", f"dataset.root={root}", "method=stego", "encoder=timm",
        "encoder.name=test_vit", "encoder.weights=random", "method.crop_size=64", "batch_size=4",
        "accelerator=cpu", f"output_dir={tmp_path / 'run'}", *words,
    ]  # fmt: skip
    assert told in error_of_command(train_cli.main, "leopart train", run)
    assert not (tmp_path / "run/features").exists()
