"""Shares of tokens, and the labels that several processes find for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leopart_kit.clustering import TokenProjection
from leopart_kit.evaluation import FeatureStore
from leopart_kit.evaluation.store import token_share
from leopart_kit.evaluation.store.joined_stores import JoinedStores
from leopart_kit.evaluation.store.kept_labels import kept_labels, read_labels
from leopart_kit.evaluation.store.store_files import StageCache
from leopart_kit.evaluation.store.token_share import TokenShare
from leopart_kit.processes import Processes
from tests.two_processes import run_in_processes


def store_of(folder: Path, num_images: int, grid: tuple[int, int], seed: int = 0) -> FeatureStore:
    folder.mkdir(parents=True, exist_ok=True)
    shape = num_images, grid[0] * grid[1], 3
    tokens = np.random.default_rng(seed).normal(size=shape).astype(np.float16)
    np.save(folder / "tokens.npy", tokens)
    np.save(folder / "status.npy", np.ones(num_images, np.uint8))
    return FeatureStore(folder, grid)


@settings(max_examples=30, deadline=None)
@given(
    images=st.lists(st.integers(1, 70), min_size=1, max_size=3),
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kept=st.none() | st.floats(0, 1),
    count=st.integers(1, 5),
    block=st.integers(1, 300),
)
def test_shares_are_all_tokens_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    images: list[int],
    grid: tuple[int, int],
    kept: float | None,
    count: int,
    block: int,
):
    folder = tmp_path_factory.mktemp("stores")
    stores = [store_of(folder / str(i), number, grid, i) for i, number in enumerate(images)]
    joined = JoinedStores(stores)
    tokens = torch.cat(list(joined.chunks()))
    mask = None
    if kept is not None:
        mask = np.random.default_rng(1).random((sum(images), *grid)) < kept
        tokens = tokens[torch.from_numpy(mask.ravel())]
    projection = TokenProjection(True, None, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_share, "BLOCK", block)
        shares = [TokenShare(joined, Processes(rank, count), mask) for rank in range(count)]
    assert {share.total for share in shares} == {len(tokens)}
    start = 0
    for share in shares:
        own = tokens[start : start + len(share)]
        assert share.start == start
        assert torch.equal(torch.cat(list(share.chunks())), own)
        assert torch.equal(share.project(projection), projection(own))
        start += len(share)
    assert start == len(tokens)


def _label(rank: int, folder: Path, count: int) -> tuple[list[int], dict, int]:
    token_share.BLOCK = 4
    processes = Processes(rank, count)
    share = TokenShare(store_of(folder / f"own{rank}", 5, (1, 2)), processes)
    calls = 0

    def compute():
        nonlocal calls
        calls += 1
        return np.arange(share.start, share.start + len(share)) * 2, {"by": 3}

    for _ in range(2):
        cache = StageCache(folder / "stages", {"of": "a test"})
        file, report = kept_labels(cache, "labels", {"seed": 1}, share, compute, processes)
    return read_labels(file).tolist(), report, calls


@pytest.mark.parametrize("count", [1, 3])
def test_labels_of_all_shares_are_found_once(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(token_share, "BLOCK", 4)
    found = [_label(0, tmp_path, 1)] if count == 1 else run_in_processes(_label, 3, tmp_path, 3)
    assert found == [(list(range(0, 20, 2)), {"by": 3}, 1)] * count
    assert len(list((tmp_path / "stages").iterdir())) == 2, "labels and their note"


@pytest.mark.parametrize("damage", ["byte", "shape", "head", "note", "gone"])
def test_labels_that_were_changed_are_found_anew(tmp_path: Path, damage: str):
    assert _label(0, tmp_path, 1)[2] == 1
    (file,) = (tmp_path / "stages").glob("*.npy")
    content = file.read_bytes()
    if damage == "byte":
        file.write_bytes(content[:-1] + b"\x01")
    elif damage == "shape":
        np.save(file, np.zeros(3, np.int32))
    elif damage == "head":
        file.write_bytes(b"no array")
    elif damage == "note":
        file.with_suffix(".json").write_text(json.dumps({"report": {"by": 4}}))
    else:
        file.unlink()
    labels, report, calls = _label(0, tmp_path, 1)
    assert (labels, report, calls) == (list(range(0, 20, 2)), {"by": 3}, 1)
