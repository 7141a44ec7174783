"""A launcher of Hydra starts jobs; submitit's local executor stands for SLURM."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.report import read_results
from tests.cli.command import REPOSITORY


def test_submitit_runs_a_command_as_a_job(tmp_path: Path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    images = tmp_path / "images"
    images.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{index}.png")
    command = [
        sys.executable,
        str(REPOSITORY / "tools" / "eval_segmentation.py"),
        "--multirun",
        "hydra/launcher=submitit_local",
        "dataset=folder",
        f"dataset.root={images}",
        "encoder=handcrafted",
        "protocol.num_clusters=2",
        "protocol.resolution=[32,32]",
        "protocol.score_resolution=[32,32]",
        "protocol.seeds=[0]",
        "page_images=1",
        "device=cpu",
        f"output_dir={tmp_path / 'out'}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    assert read_results(tmp_path / "out" / "0")["dataset"]["num_images"] == 3
