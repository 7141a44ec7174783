"""A head that an earlier run wrote labels a folder without masks, with its own class names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.data import load_dataset
from leopart_kit.evaluation.segmentation_heads import classes_of_head
from leopart_kit.report import read_results
from tests.cli.command import leopart_eval
from tests.evaluation.tiny_data import NAMES, write_folder

TRAINED = {
    "linear": ["protocol.epochs=2", "protocol.train_resolution=[16,16]", "protocol.batch_size=4"],
    "fcn": [
        "protocol.epochs=2",
        "protocol.train_resolution=[16,16]",
        "protocol.channels=4",
        "protocol.head_resolution=null",
    ],
    "linear_full": ["protocol.iterations=2", "protocol.learning_rates=[0.1]", "protocol.seeds=[0]"],
}


@pytest.mark.parametrize("protocol", TRAINED)
def test_a_head_names_its_classes(tmp_path: Path, protocol: str, capfd: pytest.CaptureFixture):
    write_folder(tmp_path / "data", 8)
    write_folder(tmp_path / "bare", 2, masks=False)
    first, again = tmp_path / "first", tmp_path / "again"
    encoder = ["encoder=handcrafted", "protocol.train_split=all", "shared_images=allow"]
    data = ["dataset=folder", f"dataset.root={tmp_path}/data", f"output_dir={first}"]
    leopart_eval(*data, *encoder, f"protocol={protocol}", *TRAINED[protocol])
    head = first / "head_seed0.safetensors"
    reader = "linear" if protocol == "linear_full" else protocol
    leopart_eval(
        "dataset=folder",
        f"dataset.root={tmp_path}/bare",
        "encoder=handcrafted",
        f"protocol={reader}",
        "protocol.train_split=null",
        f"protocol.head={head}",
        f"output_dir={again}",
    )
    assert read_results(again)["dataset"]["class_names"] == list(NAMES)
    for folder in (first, again):
        counted = (folder / "report.html").read_text().split('class="lead">')[1].split(".\n")[0]
        assert "images" in counted
        assert "cluster" not in counted
    page = (again / "report.html").read_text()
    assert "cluster 1" not in page
    assert any(f"Prediction of im00: {name}" in page for name in NAMES)
    assert "predicted classes and pictures, no scores" in capfd.readouterr().out
    assert (again / "classes.txt").read_text().split() == list(NAMES)
    # The folder of images with these masks is a labelled data set.
    (again / "images").symlink_to(tmp_path / "bare" / "images")
    assert load_dataset("folder", again, "all").class_names == NAMES
    assert classes_of_head(again / "head_seed0.safetensors") == NAMES
    with Image.open(again / "masks" / "im00.png") as mask:
        assert mask.mode == "P"
        assert set(np.unique(np.asarray(mask))) <= set(range(len(NAMES)))
