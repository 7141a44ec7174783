"""The same images as a folder, list, tars and tables: the same features, curves and resumes."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from leopart_kit.backbones import Encoder
from leopart_kit.data.loading import load_dataset
from leopart_kit.data.segmentation import SegmentationDataset
from leopart_kit.evaluation import extract_features
from leopart_kit.training import SeededSamples, TrainingLoader
from leopart_kit.training.stopping import TrainingInterrupted
from tests.data.shard_writers import write_folder, write_list, write_parquet, write_tars
from tests.training.test_training_resume import assert_same, last_state
from tests.training.tiny_training import SignalAfter, losses, run_tiny
from tests.two_processes import run_in_processes

KINDS = ("list", "webdataset", "huggingface")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("shards")
    folder = write_folder(base / "folder", 20)
    roots = {
        "folder": folder,
        "list": write_list(folder, base / "list/all.txt"),
        "webdataset": write_tars(folder, base / "tars", 3),
    }
    if find_spec("datasets") is not None:  # else `opened` skips
        roots["huggingface"] = write_parquet(folder, base / "parquet", 3)
    return roots


def opened(roots: dict[str, Path], kind: str) -> SegmentationDataset:
    masks = {
        "webdataset": {"mask": "seg.png"},
        "huggingface": {"mask": "target", "image": "picture"},
    }
    if kind == "huggingface":
        pytest.importorskip("datasets")
    return load_dataset(kind, roots[kind], "all", **masks.get(kind, {}))


class Pixels:
    """Some numbers of each image, as `run_tiny` trains on."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        return self.dataset.load_image(index)[:, :2, :2].flatten() / 127.5 - 1


def encoder() -> Encoder:
    def patches(images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images, 8)

    return Encoder.from_module(patches, 8, 3, mean=(0.5,) * 3, std=(0.2,) * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_features_and_masks_are_those_of_the_folder(roots, tmp_path: Path, kind: str):
    tokens = []
    for name in ("folder", kind):
        found = opened(roots, name)
        store = extract_features(
            encoder(), found, cache_dir=tmp_path / name, resolution=(32, 32), num_workers=2
        )
        tokens.append(np.array(store.tokens))
        assert len(store) == 20
        assert (found.num_classes, found[1][1]) == (3, None)
    assert np.array_equal(*tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_is_that_of_the_folder_stopped_or_not(roots, tmp_path: Path, kind: str):
    run_tiny(tmp_path / "folder", vectors=Pixels(opened(roots, "folder")))
    stored = Pixels(opened(roots, kind))
    run_tiny(tmp_path / kind, vectors=stored, num_workers=2)
    stopped = SignalAfter(signal.SIGTERM, at=5)
    with pytest.raises(TrainingInterrupted):
        run_tiny(tmp_path / "stopped", vectors=stored, method=stopped, num_workers=2)
    run_tiny(tmp_path / "stopped", vectors=Pixels(opened(roots, kind)))
    for name in (kind, "stopped"):
        assert losses(tmp_path / name) == losses(tmp_path / "folder")
        assert_same(last_state(tmp_path / name), last_state(tmp_path / "folder"))


def share(rank: int, roots: dict[str, Path], num: int) -> Tensor:
    """What one of `num` processes reads of all kinds, with a worker of its own."""
    batches = []
    for kind in ("folder", *KINDS):
        samples = SeededSamples(Pixels(opened(roots, kind)), torch.nn.Identity(), seed=3)
        loader = TrainingLoader(samples, 4 // num, num_workers=1, rank=rank, world_size=num)
        stream = loader.batches()
        batches.append(torch.cat([next(stream).data for _ in range(6)]))
        stream.close()  # type: ignore[attr-defined]
    return torch.stack(batches)


def test_two_processes_read_what_one_does(roots):
    pytest.importorskip("datasets")
    one = share(0, roots, 1)
    two = torch.stack(run_in_processes(share, 2, roots, 2))  # [processes, kinds, 6 · 2, D]
    for kind in range(1, 1 + len(KINDS)):
        assert torch.equal(one[0], one[kind])
    halves = two.unflatten(2, (6, 2)).permute(1, 2, 0, 3, 4).flatten(1, 3)
    assert torch.equal(halves, one)
