"""Leopart in two processes under torchrun is Leopart in one with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leopart_kit.training import read_metrics
from tests.cli.launched import srun
from tests.training.test_training_resume import last_state
from tests.training.tiny_leopart import train_tiny

PROGRAM = Path(__file__).with_name("tiny_leopart.py")
KINDS = ("fg", "all", "anchored", "neco", "paka", "block", "key")


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leopart")
    srun(PROGRAM, [str(folder), *KINDS], 2, folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_curve_is_that_of_one_process(two_processes: Path, tmp_path: Path, kind: str):
    train_tiny(tmp_path, kind, batch_size=4)
    one, two = (read_metrics(f / "metrics.jsonl") for f in (tmp_path, two_processes / kind))
    assert [row["step"] for row in two] == list(range(1, 7))
    losses = [[row["loss"] for row in rows] for rows in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert len(set(losses[0])) == 6
    if kind == "fg":
        shares = [[row["counting_patches"] for row in rows] for rows in (one, two)]
        assert shares[1] == pytest.approx(shares[0], rel=1e-4)
        assert all(0.2 < share < 0.95 for share in shares[0])
    whole, halves = last_state(tmp_path), last_state(two_processes / kind)
    for key, value in whole["state_dict"].items():
        other = halves["state_dict"][key]
        if key.endswith("attn.qkv.bias"):  # the bias of keys has no gradient but rounding
            value, other = (torch.cat([x[:24], x[48:]]) for x in (value, other))
        torch.testing.assert_close(other, value, rtol=1e-3, atol=1e-4)


def test_every_process_has_the_anchor_that_one_has_fitted(two_processes: Path):
    states = [torch.load(two_processes / f"anchored_{rank}.pt") for rank in (0, 1)]
    assert states[0].keys() == states[1].keys()
    for key, value in states[0].items():
        assert torch.equal(states[1][key], value), key
    assert states[1]["anchor.potentials"].any()
