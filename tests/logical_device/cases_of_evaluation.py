"""Every protocol, the image-level evaluation and the export on the logical device, as on the CPU.

Run by `test_logical_device.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from leopart_kit.cli import eval_segmentation, export_masks
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.image_level.cli import eval_image_level
from leopart_kit.parts import list_parts
from tests.cli.command import run_command_line
from tests.cli.runs import small_run
from tests.evaluation.tiny_data import write_folder
from tests.image_level.evaluation.tiny_images import write_colours
from tests.logical_device.device import traffic

COLOURS = ("encoder=custom", "encoder.factory=tests.cli.mean_colours:mean_colours")
TINY = ("protocol.resolution=[64,64]", "protocol.score_resolution=[32,32]")
ON_SAME = ("protocol.train_split=all", "shared_images=allow")
SHORT = ("protocol.seeds=[0]", "protocol.epochs=2", "protocol.learning_rate=0.1")
PROBE = (*ON_SAME, *SHORT, "protocol.train_resolution=[32,32]")
GIVEN = {
    "overclustering": ("protocol.num_clusters=5",),
    "linear": PROBE,
    "fcn": (*PROBE, "protocol.channels=8", "protocol.head_resolution=null"),
    "linear_full": (*ON_SAME, "protocol.iterations=4", "protocol.learning_rates=[0.001]"),
    "in_context": (*ON_SAME, "protocol.neighbours=3"),
    "patch_knn": ON_SAME,
    "patch_logistic": ON_SAME,
    "parts": ("protocol.num_clusters=4",),
    "unsupervised_27": ("protocol.crop=64", "protocol.train_split=null", "protocol.refinement=[]"),
}


# Predictions are measured without a network.
PROTOCOLS = [name for name in list_parts(PACKAGES["protocol"]) if name != "predictions"]


def metrics(out: Path) -> dict[str, float]:
    document = json.loads((out / "results.json").read_text())
    return {name: value["mean"] for name, value in document["metrics"].items()}


def run_on(device: str, words: list[str], command: Callable[[], None], out: Path) -> None:
    run_command_line(command, "leopart", [*words, f"device={device}", f"output_dir={out}"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol(protocol: str, tmp_path: Path):
    if protocol == "unsupervised":
        words = [*small_run(protocol, tmp_path / "data").words, "protocol.resolution=[96,96]"]
    else:
        write_folder(tmp_path / "data", 6)
        words = [f"protocol={protocol}", "dataset=folder", f"dataset.root={tmp_path / 'data'}"]
        words += ["page_images=0", *COLOURS, *TINY, *GIVEN[protocol]]
    run_on("cpu", words, eval_segmentation.main, tmp_path / "cpu")
    with traffic() as seen:
        run_on("logical", words, eval_segmentation.main, tmp_path / "device")
    assert seen.syncs, "nothing was computed there"
    found, expected = metrics(tmp_path / "device"), metrics(tmp_path / "cpu")
    assert found == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_export(tmp_path: Path):
    write_folder(tmp_path / "data", 6, masks=False)
    words = [f"images={tmp_path / 'data' / 'images'}", "protocol.resolution=[64,64]", *COLOURS]
    words += ["protocol.num_clusters=4", "export.formats=[png]"]
    for device in ("cpu", "logical"):
        run_on(device, words, export_masks.main, tmp_path / device)
    masks = {path.name: path.read_bytes() for path in (tmp_path / "cpu").rglob("*.png")}
    assert len(masks) >= 6
    assert {p.name: p.read_bytes() for p in (tmp_path / "logical").rglob("*.png")} == masks


def test_images_as_wholes(tmp_path: Path):
    for split, number in (("train", 6), ("test", 3)):
        write_colours(tmp_path / "data", split, number)
    words = [f"dataset.root={tmp_path / 'data'}", "protocol.seeds=[0]", *COLOURS]
    words += ["protocol.knn.neighbours=3", "protocol.linear.epochs=2", "protocol.resolution=64"]
    scores = []
    for device in ("cpu", "logical"):
        run_on(device, words, eval_image_level.main, tmp_path / device)
        document = json.loads((tmp_path / device / "results.json").read_text())
        scores.append([score["mean"] for score in document["scores"]])
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)
