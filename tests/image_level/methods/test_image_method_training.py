"""The loop trains every kind of image-level method: resumed bit for bit, and in two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from leopart_kit.backbones import read_checkpoint
from leopart_kit.training import list_checkpoints, read_metrics
from tests.cli.launched import srun
from tests.image_level.methods.tiny_image_methods import METHODS, STEPS, Stopped, train_method
from tests.training.test_training_resume import assert_same, last_state

PROGRAM = Path(__file__).with_name("tiny_image_methods.py")
IN_TWO = ("simclr", "moco_v2", "swav", "dino", "ibot", "clip", "sela")


@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_was_broken_off_ends_as_if_it_had_not_been(tmp_path: Path, name: str):
    # Step 3 lies between two labellings of the set, so that labels come from the checkpoint.
    with pytest.raises(Stopped):
        train_method(tmp_path / "resumed", name, batch_size=4, stop_at=3)
    train_method(tmp_path / "resumed", name, batch_size=4)
    train_method(tmp_path / "whole", name, batch_size=4)
    assert_same(last_state(tmp_path / "resumed"), last_state(tmp_path / "whole"))
    losses = [
        [row["loss"] for row in read_metrics(tmp_path / folder / "metrics.jsonl")]
        for folder in ("resumed", "whole")
    ]
    assert losses[0] == losses[1]
    assert len(set(losses[1])) == STEPS


@pytest.mark.parametrize("name", METHODS)
def test_a_checkpoint_gives_the_backbone_that_the_training_is_for(tmp_path: Path, name: str):
    """Of student and slow copy the one that is evaluated, which is DINO's teacher."""
    method: Any = train_method(tmp_path, name, batch_size=4, max_steps=2)
    state, _ = read_checkpoint(list_checkpoints(tmp_path / "checkpoints")[-1])
    expected = method.encoder.vit.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value) for key, value in expected.items())


@pytest.mark.parametrize("name", METHODS)
def test_bf16_and_accumulated_gradients(tmp_path: Path, name: str):
    train_method(tmp_path, name, batch_size=4, precision="bf16-mixed", accumulate_steps=2)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert all(0 <= row["loss"] < 20 for row in rows)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image_methods")
    srun(PROGRAM, [str(folder), *IN_TWO], 2, folder)
    return folder


@pytest.mark.parametrize("name", IN_TWO)
def test_two_processes_are_one_with_the_whole_batch(two_processes: Path, tmp_path: Path, name: str):
    train_method(tmp_path, name, batch_size=4)
    one, two = (read_metrics(f / "metrics.jsonl") for f in (tmp_path, two_processes / name))
    losses = [[row["loss"] for row in rows] for rows in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    whole, halves = last_state(tmp_path), last_state(two_processes / name)
    for key, value in whole["state_dict"].items():
        other = halves["state_dict"][key]
        if not isinstance(value, torch.Tensor) or key.startswith("queue."):
            continue
        if key.endswith("attn.qkv.bias"):  # the bias of keys has no gradient but rounding
            value, other = (torch.cat([x[:24], x[48:]]) for x in (value, other))
        if key.endswith("in_proj_bias"):
            value, other = (torch.cat([x[:16], x[32:]]) for x in (value, other))
        torch.testing.assert_close(other, value, rtol=1e-2, atol=1e-3, msg=lambda m, k=key: k + m)
