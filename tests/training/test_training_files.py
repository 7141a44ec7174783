"""Checkpoint files, the metrics log, and the parameter groups of a method."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
import torch
from torch import nn

from leopart_kit.methods.method import ParameterGroup, split_by_decay
from leopart_kit.training.checkpoint import (
    CheckpointWriteError,
    check_state_matches,
    list_checkpoints,
    read_checkpoint_file,
    write_checkpoint,
)
from leopart_kit.training.metrics_log import MetricsLog, read_metrics
from leopart_kit.training.parameter_groups import check_parameter_groups


def test_the_last_k_are_kept(tmp_path: Path):
    for step in (5, 10, 100_000_000, 15):
        write_checkpoint(tmp_path, step, {"x": torch.tensor(step)}, keep=3)
    (tmp_path / "step_00000002.tmp").touch()
    (tmp_path / "notes.pt").touch()
    names = [path.name for path in list_checkpoints(tmp_path)]
    assert names == ["step_00000010.pt", "step_00000015.pt", "step_100000000.pt"]
    assert read_checkpoint_file(tmp_path / names[1])["x"] == 15
    assert list_checkpoints(tmp_path / "absent") == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    write_checkpoint(tmp_path, 1, {}, keep=1)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(CheckpointWriteError, match="No space"):
        write_checkpoint(tmp_path, 2, {}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_a_file_size_limit_of_the_system(tmp_path: Path):
    """Here torch.save itself meets the error, in the middle of a tensor."""
    write_checkpoint(tmp_path, 1, {}, keep=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(CheckpointWriteError, match="File too large"):
            write_checkpoint(tmp_path, 2, {"x": torch.zeros(100_000)}, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001.pt"]


def test_unreadable_checkpoints(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"a\.pt"):
        read_checkpoint_file(tmp_path / "a.pt")
    whole = write_checkpoint(tmp_path, 1, {"x": torch.zeros(1000)}, keep=1)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole.read_bytes()[:2000])
    empty = tmp_path / "empty.pt"
    empty.touch()
    for path in (cut, empty):
        with pytest.raises(ValueError, match=rf"{path.name} is damaged or no checkpoint; delete"):
            read_checkpoint_file(path)
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt"):
        read_checkpoint_file(tmp_path / "other.pt")


def test_differing_keys_are_listed():
    saved = {"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1), "e": None}
    own = {"a": torch.zeros(2), "b": torch.zeros(4), "d": torch.zeros(1), "e": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"x\.pt") as caught:
        check_state_matches(Path("x.pt"), saved, own)
    assert (
        "d is missing in it; c is unknown to the method; b is [3] in it and [4] in the method; "
        "e is no tensor in it and [1] in the method. Use" in str(caught.value)
    )
    many = {f"k{i}": torch.zeros(1) for i in range(30)}
    with pytest.raises(ValueError, match=r"k7.*22 more"):
        check_state_matches(Path("x.pt"), {}, many)
    check_state_matches(Path("x.pt"), own, own)


def test_metrics_of_a_resumed_run(tmp_path: Path):
    with MetricsLog(tmp_path, resumed_step=0) as log:
        for step in range(1, 6):
            log.write(step, {"loss": step / 2, "bad": float("nan")})
            assert len(read_metrics(tmp_path / "metrics.jsonl")) == step  # on disk at once
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # cut off by kill -9
    with MetricsLog(tmp_path, resumed_step=3) as log:
        log.write(4, {"loss": 7.0})
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 7.0)]
    assert rows[0]["bad"] is None


def test_biases_and_norms_are_not_decayed():
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    module[2].requires_grad_(False)
    decayed, rest = split_by_decay("backbone", module, 1e-5)
    assert (decayed.name, decayed.decayed, decayed.learning_rate) == ("backbone", True, 1e-5)
    assert [id(p) for p in decayed.parameters] == [id(module[0].weight)]
    assert (rest.name, rest.decayed, rest.learning_rate) == ("backbone_no_decay", False, 1e-5)
    own = [module[0].bias, module[1].weight, module[1].bias]
    assert [id(p) for p in rest.parameters] == [id(p) for p in own]
    assert len(split_by_decay("norm", nn.LayerNorm(3), 1.0)) == 1


def test_each_trainable_parameter_belongs_to_one_group():
    module = nn.Linear(2, 2)
    whole = ParameterGroup("all", list(module.parameters()), 1.0, decayed=True)
    part = ParameterGroup("part", [module.bias], 1.0, decayed=True)
    check_parameter_groups(module, [whole])
    with pytest.raises(ValueError, match="requires_grad"):
        check_parameter_groups(module, [part])
    with pytest.raises(ValueError, match="lists twice: bias"):
        check_parameter_groups(module, [whole, part])
    foreign = ParameterGroup("foreign", [nn.Parameter(torch.zeros(1))], 1.0, decayed=True)
    with pytest.raises(ValueError, match="frozen"):
        check_parameter_groups(module, [whole, foreign])
    with pytest.raises(ValueError, match="gradient"):
        check_parameter_groups(nn.Linear(2, 2).requires_grad_(False), [])
