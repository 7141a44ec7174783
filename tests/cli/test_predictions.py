"""`protocol=predictions` and `protocol=unsupervised_27` at the command line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.cli.eval_segmentation import main
from leopart_kit.report import read_per_image, read_results
from tests.cli.command import error_of_command, leopart_eval, run_command_line


@pytest.fixture
def on_predictions(folder: Path, tmp_path: Path) -> list[str]:
    """Overrides that score the ground truth of `folder` as the predictions of a method."""
    found = tmp_path / "method x"
    found.mkdir()
    for path in (folder / "masks").iterdir():
        Image.open(path).save(found / path.name)
    return [
        "dataset=folder",
        f"dataset.root={folder}",
        "protocol=predictions",
        f"predictions.root={found}",
        "predictions.resolution=[32,32]",
        "predictions.score_resolution=[16,16]",
        "page_images=2",
        f"output_dir={tmp_path / 'scored'}",
    ]


def score(*overrides: str) -> None:
    run_command_line(main, "leopart eval", overrides)


def error_of_scoring(*overrides: str) -> str:
    return error_of_command(main, "leopart eval", overrides)


def test_predictions_have_results_page_and_masks_and_no_encoder(
    on_predictions: list[str], folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture
):
    score(*on_predictions, "predictions.labels_used=[match]", "encoder=dino_vits16")
    out = tmp_path / "scored"
    results = read_results(out)
    assert results["protocol"] == "predictions"
    assert results["encoder"]["name"] == "method x"
    assert results["encoder"]["weights"] == str(tmp_path / "method x")
    assert "encoder" not in results["settings"], "none was run"
    assert results["settings"]["predictions"]["kind"] == "classes"
    assert results["metrics"]["miou"]["mean"] == 100
    assert results["labels_used"] == {"fit": False, "select": False, "match": True}
    assert set(read_per_image(out)[1]) == {"16x16", "full"}
    page = (out / "report.html").read_text()
    assert "method x" in page
    assert "A prediction is the class of each pixel." in page
    for path in (out / "masks").iterdir():
        np.testing.assert_array_equal(Image.open(path), Image.open(folder / "masks" / path.name))
    assert not (out / "features").exists()
    assert "method x on folder all" in capfd.readouterr().out


def test_masks_of_a_run_score_as_the_run_at_full_size(
    folder: Path, on_folder: list[str], on_predictions: list[str], tmp_path: Path
):
    leopart_eval(*on_folder, "protocol.seeds=[0]", "protocol.num_clusters=3")
    score(*on_predictions, f"predictions.root={tmp_path / 'out' / 'masks'}")
    run, scored = (read_results(tmp_path / name)["scores"][1] for name in ("out", "scored"))
    assert run["resolution"] == scored["resolution"] == "full"
    assert 0 < run["miou"]["mean"] < 100, "three clusters cannot find four classes"
    assert run == scored


def test_clusters_are_matched(on_predictions: list[str], tmp_path: Path):
    for path in (tmp_path / "method x").iterdir():
        ids = np.asarray(Image.open(path))
        Image.fromarray(np.array([300, 7, 0, 2], np.uint16)[ids]).save(path)
    score(*on_predictions, "predictions.kind=clusters", "predictions.name=mine")
    results = read_results(tmp_path / "scored")
    assert results["encoder"]["name"] == "mine"
    assert results["matching"]["rule"] == "many_to_one_precision"
    assert results["details"]["num_clusters"] == 301
    assert results["metrics"]["miou"]["mean"] == 100


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["predictions.root=nowhere"], "nowhere is not a folder; set predictions.root"),
        (["+predictions.palette=x"], "predictions has no setting 'palette'; it has kind"),
        (["predictions.kind=clusters", "predictions.num_clusters=2"], "id.* 2 clusters are 0 to 1"),
    ],
)
def test_mistakes_in_settings_end_in_one_line(
    on_predictions: list[str], overrides: list[str], message: str
):
    assert re.search(message, error_of_scoring(*on_predictions, *overrides))


def test_without_a_folder_the_setting_is_named(folder: Path, tmp_path: Path):
    line = error_of_scoring(
        "dataset=folder",
        f"dataset.root={folder}",
        "protocol=predictions",
        f"output_dir={tmp_path / 'scored'}",
    )
    assert "predictions.root" in line


@pytest.mark.parametrize("missing", [True, False])
def test_incomplete_folders_end_in_one_line(
    on_predictions: list[str], tmp_path: Path, missing: bool
):
    path = tmp_path / "method x" / "im03.png"
    if missing:
        path.unlink()
        assert "1 of 6 samples: im03" in error_of_scoring(*on_predictions)
        score(*on_predictions, "predictions.missing=leave_out")
        results = read_results(tmp_path / "scored")
        assert [item["name"] for item in results["dataset"]["broken"]] == ["im03"]
        assert results["dataset"]["num_images"] == 5
    else:
        Image.open(path).resize((9, 5), Image.Resampling.NEAREST).save(path)
        assert "im03.png" in error_of_scoring(*on_predictions)


def test_unsupervised_27_scores_crops_with_a_probe_beside(
    folder: Path, on_folder: list[str], tmp_path: Path
):
    for path in [*(folder / "masks").iterdir(), *(folder / "images").iterdir()]:
        picture = Image.open(path)
        picture.resize((64, 32), Image.Resampling.NEAREST).save(path)  # twice as wide
    leopart_eval(
        *on_folder,
        "protocol=unsupervised_27",
        "protocol.train_split=all",
        "shared_images=allow",
        "protocol.crop=32",
        "protocol.score_resolution=[32,32]",
        "protocol.seeds=[0]",
        "protocol.refinement=[bilateral_grid]",
    )
    results = read_results(tmp_path / "out")
    assert results["protocol"] == "unsupervised_27"
    assert results["matching"]["rule"] == "hungarian_count"
    assert [t["resolution"] for t in results["scores"]] == ["32x32", "32x32"]
    assert results["metrics"]["miou_union"]["mean"] == results["metrics"]["miou"]["mean"]
    rows = [row["segmentation"] for row in results["details"]["comparison"]]
    assert rows == ["k-means, K = 4", "k-means, K = 4, bilateral_grid", "linear probe, by labels"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "linear probe, by labels" in page.split('id="comparison"')[1].split("</section>")[0]
    for path in (tmp_path / "out" / "masks").iterdir():
        assert Image.open(path).size == (32, 32)
