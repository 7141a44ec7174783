"""Devices of a training: those that are here, and one line for those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leopart_kit.cli.train import main
from leopart_kit.training import build_fabric
from tests.cli.command import error_of_command
from tests.cli.train_command import arguments, write_images

LACKING = [
    name
    for name, number in {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.items()
    if not number
]


@pytest.mark.parametrize("accelerator", [*LACKING, "tpu", "gpu "])
def test_an_accelerator_that_is_not_here_is_told(accelerator: str):
    with pytest.raises(ValueError, match=f"accelerator={accelerator}"):
        build_fabric(accelerator)


@pytest.mark.parametrize("accelerator", LACKING)
@pytest.mark.parametrize("rounds", ["rounds=1", "rounds=2"])
def test_a_command_says_so_in_one_line(accelerator: str, rounds: str, tmp_path: Path):
    write_images(tmp_path / "images")
    words = arguments(tmp_path / "images", tmp_path / "out", f"accelerator={accelerator}", rounds)
    assert "accelerator" in error_of_command(main, "leopart train", words)
