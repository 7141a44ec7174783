"""What `same_figures.py` sees and what it looks past: figures change, wording and times may."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.figures.commands import read_commands
from tests.figures.differences import differences
from tests.figures.pages import numbers
from tests.figures.record import Record, record

PAGE = (
    "<h2>{title}</h2><table><tr><td>mIoU</td><td><b>{miou} ± 0.4</b></td><td>{took} s</td></tr>"
    '</table><dl class="plain"><dt>seed</dt><dd>{seed}</dd></dl>'
)


def write_run(
    folder: Path,
    *,
    miou: float = 41.0,
    fit: bool = False,
    took: float = 3.0,
    note: str = "some words",
    weight: float = 0.5,
    pixel: int = 7,
    shown: str = "41.0",
    title: str = "Scores",
    area: int = 12,
) -> Record:
    """The record of a small run."""
    (folder / "masks").mkdir(parents=True)
    (folder / "coco").mkdir()
    results = {
        "metrics": {"miou": {"mean": miou, "per_seed": [40, 42.0]}},
        "labels_used": {"fit": fit},
        "timing_seconds": {"total": took},
        "dataset": {"notes": [note], "root": str(folder)},
    }
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "coco" / "instances.json").write_text(json.dumps({"area": area, "at": str(folder)}))
    (folder / "export_files.jsonl").write_text(json.dumps(["a.png", took]))
    page = PAGE.format(title=title, miou=shown, took=took, seed=took)
    (folder / "report.html").write_text(page)
    Image.new("L", (3, 2), pixel).save(folder / "masks" / "a.png", compress_level=int(took))
    tensor = np.full((2, 2), weight, np.float32)
    save_file({"w": tensor}, folder / "backbone.safetensors", metadata={"took": str(took)})
    return record(folder)


@pytest.fixture
def before(tmp_path: Path) -> Record:
    return write_run(tmp_path / "before" / "run")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"miou": 41.001}, "results.json metrics.miou.mean"),
        ({"fit": True}, "results.json labels_used.fit"),
        ({"weight": 0.5000001}, "backbone.safetensors w"),
        ({"pixel": 8}, "masks/a.png"),
        ({"shown": "41.1"}, "report.html rows"),
        ({"area": 13}, "coco/instances.json"),
    ],
)
def test_a_changed_figure_is_told_by_its_place(
    before: Record, tmp_path: Path, change: dict, where: str
):
    lines = list(differences(before, write_run(tmp_path / "after" / "run", **change)))
    assert {line.partition(": ")[0] for line in lines} == {where}


@pytest.mark.parametrize(
    "change", [{"took": 5.0}, {"note": "others"}, {"title": "The scores"}, {"miou": 41 + 1e-12}]
)
def test_times_wording_folders_and_rounding_are_no_figures(
    before: Record, tmp_path: Path, change: dict
):
    assert list(differences(before, write_run(tmp_path / "after" / "run", **change))) == []


def test_what_is_gone_or_new_is_a_difference():
    assert list(differences({"a": 1, "b": 2}, {"b": 2, "c": 3})) == ["a: 1 → gone", "c: none → 3"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9.6 ± 0.4 7.0 – 11.7", "9.6 0.4 7.0 11.7"),
        ("val_000001 ViT-S/16 voc_k21", ""),
        ("−5.9 in 1,024 of 32 × 32, 858 MiB, 0.3 s", "-5.9 1024 32 32"),
        ("95 % interval 95.0 %", "95.0"),
    ],
)
def test_numbers_of_a_text(text: str, found: str):
    assert numbers(text) == found


def test_a_command_runs_after_those_whose_output_it_reads():
    commands = read_commands()
    assert commands["one_to_one_trained"].after == ("train_leopart",)
    assert commands["predicted_clusters"].after == ("export_parts",)
    tools = Path(__file__).parents[1] / "tools"
    assert all((tools / f"{c.tool}.py").is_file() for c in commands.values())
