"""`torchrun` with two processes gives the result of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.report import read_per_image, read_results
from tests.cli.launched import EVALUATE, srun

SMALL = (
    "protocol.resolution=[64,64]",
    "protocol.score_resolution=[32,32]",
    "protocol.seeds=[0,1,2]",
    "page_images=2",
    "device=cpu",
)
PROTOCOLS = {
    "overclustering": ("protocol.num_clusters=12",),
    "linear": (
        "protocol.epochs=4",
        "protocol.batch_size=3",
        "protocol.learning_rates=[0.01,0.1]",
        "protocol.train_resolution=[16,16]",
    ),
    "in_context": ("protocol.memory_size=60", "protocol.neighbours=5"),
}


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "VOC2012"
    write_voc(root, SceneGenerator((64, 64)), {"train": 7, "val": 5})
    (root / "JPEGImages" / "broken.jpg").write_bytes(b"no image")
    return root


def evaluate(voc: Path, protocol: str, out: Path, num_processes: int) -> Path:
    given = ("dataset=voc", f"dataset.root={voc}", "encoder=handcrafted", f"protocol={protocol}")
    words = [*given, f"output_dir={out}", *SMALL, *PROTOCOLS[protocol]]
    srun(EVALUATE, words, num_processes, out.parent)
    return out


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_processes_equal_one(voc: Path, tmp_path: Path, protocol: str):
    one = evaluate(voc, protocol, tmp_path / "one", 1)
    two = evaluate(voc, protocol, tmp_path / "two", 2)
    first, second = read_results(one), read_results(two)
    for name, summary in first["metrics"].items():
        for key in ("mean", "std", "per_seed", "ci95"):
            np.testing.assert_allclose(second["metrics"][name][key], summary[key], atol=1e-6)
    assert json.dumps(first["matching"]) == json.dumps(second["matching"])
    assert first["dataset"] == second["dataset"]
    for resolution, counts in read_per_image(one)[1].items():
        np.testing.assert_array_equal(read_per_image(two)[1][resolution], counts)
    masks = [sorted((out / "masks").glob("*.png")) for out in (one, two)]
    assert [path.name for path in masks[0]] == [path.name for path in masks[1]]
    for mask, other in zip(*masks, strict=True):
        assert mask.read_bytes() == other.read_bytes()
