"""Two processes remember and search like one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from leopart_kit.data import load_dataset
from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols.in_context import search as in_context_search
from leopart_kit.evaluation.protocols.in_context.protocol import InContext
from leopart_kit.processes import ALONE, Processes
from tests.evaluation.tiny_data import SIDE, MeanColour, encoder_of, write_folder
from tests.two_processes import run_in_processes

PROTOCOL = InContext(
    seeds=(0, 1),
    resolution=(SIDE, SIDE),
    score_resolution=(SIDE, SIDE),
    memory_size=50,
    neighbours=3,
)


def _measure(rank: int, folder: Path, count: int) -> tuple[list[float], torch.Tensor]:
    in_context_search._IMAGES = 2  # several blocks to share
    images = load_dataset("folder", folder / "data", "all")
    processes = ALONE if count == 1 else Processes(rank, count)
    cache_dir = folder / f"cache{count}"
    run = RunSettings(cache_dir=cache_dir, processes=processes, shared_images="allow")
    result = evaluate(encoder_of(MeanColour()), images, PROTOCOL, run, train=images)
    assert result.class_maps is not None
    scores = [summary for table in result.scores for summary in table.miou.per_seed]
    return scores, torch.tensor(np.asarray(result.class_maps))


def test_two_processes_equal_one(tmp_path: Path):
    write_folder(tmp_path / "data", 7)
    scores, maps = _measure(0, tmp_path, 1)
    for other_scores, other_maps in run_in_processes(_measure, 2, tmp_path, 2):
        assert other_scores == scores
        assert torch.equal(other_maps, maps)
