"""Processes that share tokens by blocks find the clusters, parts and objects of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leopart_kit.clustering import kmeans, kmeans_starts, lloyd
from leopart_kit.data import load_dataset
from leopart_kit.evaluation import RunSettings, evaluate
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.evaluation.protocols.unsupervised.protocol import Unsupervised
from leopart_kit.evaluation.store import token_share
from leopart_kit.processes import ALONE, Processes
from tests.evaluation.protocols.test_unsupervised import SIDE, Looking, write_objects
from tests.two_processes import run_in_processes

SIZES: dict[str, Any] = {
    "resolution": (SIDE, SIDE),
    "score_resolution": (SIDE, SIDE),
    "seeds": (0, 1),
}
PROTOCOLS = {
    "overclustering": Overclustering(num_clusters=6, **SIZES),
    "faiss": Overclustering(num_clusters=5, engine="faiss", pca_dim=None, **SIZES),
    "unsupervised": Unsupervised(num_clusters=4, foreground_clusters=8, **SIZES),
    "unsupervised, faiss": Unsupervised(
        num_clusters=4, foreground_clusters=8, engine="faiss", **SIZES
    ),
}
COUNT = 3


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    """Blocks of 128 tokens, two images, so that all processes have some."""
    for module in (kmeans, kmeans_starts, lloyd, token_share):
        patch.setattr(module, "BLOCK", 128)


def measured(folder: Path, name: str, processes: Processes) -> dict:
    images = load_dataset("folder", folder / "data", "all")
    run = RunSettings(cache_dir=folder / f"cache{processes.count}", processes=processes)
    result = evaluate(Looking(), images, PROTOCOLS[name], run)
    assert result.cluster_maps is not None
    details = result.details
    return {
        "maps": torch.from_numpy(np.array(result.cluster_maps)),
        "miou": [score for table in result.scores for score in table.miou.per_seed],
        "kmeans": details.get("kmeans"),
        "chosen": str(details.get("chosen")),
        "dimensions": details.get("dimensions"),
    }


def _measure(rank: int, folder: Path) -> dict[str, dict]:
    small_blocks(pytest.MonkeyPatch())
    return {name: measured(folder, name, Processes(rank, COUNT)) for name in PROTOCOLS}


def test_three_processes_cluster_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small_blocks(monkeypatch)
    write_objects(tmp_path / "data", 9, shift=3)
    found = run_in_processes(_measure, COUNT, tmp_path)
    for name in PROTOCOLS:
        one = measured(tmp_path, name, ALONE)
        for several in found:
            assert torch.equal(several[name]["maps"], one["maps"]), name
            assert several[name]["miou"] == pytest.approx(one["miou"], abs=1e-6)
            assert several[name]["chosen"] == one["chosen"]
            assert several[name]["dimensions"] == one["dimensions"]
            if one["kmeans"]:
                for run, expected in zip(several[name]["kmeans"], one["kmeans"], strict=True):
                    assert run == pytest.approx(expected, rel=1e-5, abs=1e-4)
