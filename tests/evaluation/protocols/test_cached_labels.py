"""What is learned from masks is kept for these masks alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from leopart_kit.data import SegmentationDataset, load_dataset
from leopart_kit.evaluation import EvaluationProtocol, RunSettings, evaluate
from leopart_kit.evaluation.protocols.in_context.protocol import InContext
from leopart_kit.evaluation.protocols.linear import LinearProbe
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder

SIZES = {"resolution": (SIDE, SIDE), "score_resolution": (SIDE, SIDE), "seeds": (0,)}
PROBE = {**SIZES, "train_resolution": (4, 4), "batch_size": 4, "epochs": 12, "drop_at": 10}
PROTOCOLS: dict[str, EvaluationProtocol] = {
    "probe": LinearProbe(**PROBE, learning_rates=(0.3, 1.0)),
    "as_released": LinearProbe(**PROBE, learning_rate=1.0, selection="as_released"),
    "in_context": InContext(**SIZES, neighbours=3),
}


def exchange_masks(dataset: SegmentationDataset) -> None:
    """Give the masks of the first half to the second: all counts stay as they were."""
    masks = sorted((dataset.root / "masks").iterdir())
    half = len(masks) // 2
    for first, second in zip(masks[:half], masks[half:], strict=True):
        kept = shutil.copy(first, first.with_suffix(".kept"))
        shutil.move(second, first)
        shutil.move(kept, second)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("split", ["train", "val"])
def test_other_masks_of_the_same_images_are_learned_anew(tmp_path: Path, name: str, split: str):
    for folder, number in (("train", 10), ("val", 6)):
        write_folder(tmp_path / folder, number)

    def measure(cache: str) -> dict:
        train, val = (load_dataset("folder", tmp_path / n, "all") for n in ("train", "val"))
        run = RunSettings(cache_dir=tmp_path / cache, shared_images="allow")
        result = evaluate(encoder_of(MeanColour()), val, PROTOCOLS[name], run, train=train)
        return {"scores": result.scores, "confusion": str(result.confusion)}

    before = measure("cache")
    exchange_masks(load_dataset("folder", tmp_path / split, "all"))
    after = measure("cache")
    assert after == measure("fresh")
    assert after != before
