from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image

from leopart_kit.data import load_dataset
from leopart_kit.data.scenes import SceneGenerator, write_voc
from leopart_kit.report import read_per_image, read_results
from tests.cli.command import REPOSITORY, TINY, leopart_eval
from tests.evaluation.tiny_data import NAMES, SIDE


def figures(output_dir: Path) -> dict:
    """What must not change from run to run."""
    results = read_results(output_dir)
    return {key: results[key] for key in ("metrics", "scores", "matching", "confusion")}


def test_a_run_leaves_results_page_masks_settings_and_features(
    folder: Path, on_folder: list[str], tmp_path: Path, capfd: pytest.CaptureFixture
):
    leopart_eval(*on_folder)
    out = tmp_path / "out"
    results = read_results(out)
    assert results["dataset"]["num_images"] == 6
    assert results["dataset"]["class_names"] == list(NAMES)
    assert results["encoder"]["name"] == "handcrafted"
    assert results["settings"]["protocol"]["seeds"] == [0, 1]
    assert results["settings"]["dataset"]["root"] == str(folder)
    assert [table["resolution"] for table in results["scores"]] == ["16x16", "full"]
    assert set(read_per_image(out)[1]) == {"16x16", "full"}
    recorded = yaml.safe_load((out / "config" / "config.yaml").read_text())
    assert recorded["protocol"]["resolution"] == [32, 32]

    page = (out / "report.html").read_text()
    assert "<html" in page
    assert "data:image" in page
    assert "leopart eval" in page, "the command is not on the page"

    dataset = load_dataset("folder", folder, "all")
    masks = sorted((out / "masks").glob("*.png"))
    assert [path.stem for path in masks] == list(dataset.names)
    with Image.open(masks[0]) as mask:
        assert mask.mode == "P"
        assert mask.size == (SIDE, SIDE)
        np.testing.assert_array_equal(
            np.array(mask.getpalette()).reshape(-1, 3)[: len(NAMES)], dataset.palette[: len(NAMES)]
        )
        assert set(np.unique(np.asarray(mask))) <= {0, 1, 2, 3}

    printed = capfd.readouterr()
    assert "mIoU" in printed.out
    assert "features: 6 images" in printed.err
    assert printed.err.count("INFO k-means:") == 2, "one line a seed"
    log = (out / "eval_segmentation.log").read_text()
    assert "features: 6 images" in log


def test_a_second_run_reuses_the_features_and_repeats_the_figures(
    on_folder: list[str], tmp_path: Path
):
    cache = f"cache_dir={tmp_path / 'cache'}"
    leopart_eval(*on_folder, cache, f"output_dir={tmp_path / 'first'}")
    (tokens,) = (tmp_path / "cache").rglob("tokens.npy")
    before = tokens.stat().st_mtime_ns
    leopart_eval(*on_folder, cache, f"output_dir={tmp_path / 'second'}")
    assert "features: reused" in (tmp_path / "second" / "eval_segmentation.log").read_text()
    assert tokens.stat().st_mtime_ns == before
    assert figures(tmp_path / "first") == figures(tmp_path / "second")
    leopart_eval(*on_folder, cache, "+encoder.patch_size=16")
    assert len(list((tmp_path / "cache").rglob("tokens.npy"))) == 2


FACTORY = """
import os, signal
from torch.nn import functional as F
from leopart_kit.backbones import Encoder

calls = 0

def make(patch_size=8):
    def colours(images):
        global calls
        calls += 1
        if calls == 3 and os.environ.get("KILL_AT_THIRD_BATCH"):
            os.kill(os.getpid(), signal.SIGKILL)
        return F.avg_pool2d(images, patch_size)
    return Encoder.from_module(colours, patch_size, 3)

def no_encoder():
    return 3
"""


def run_tool(folder: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess:
    """`tools/eval_segmentation.py` in a process of its own, started in `folder`."""
    command = [sys.executable, str(REPOSITORY / "tools" / "eval_segmentation.py")]
    return subprocess.run(
        [*command, *TINY, *overrides],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_killed_run_goes_on_with_an_encoder_of_ones_own(
    on_folder: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The factory lies where the command is given, as on a user's machine."""
    (tmp_path / "mine.py").write_text(FACTORY)
    overrides = [
        *on_folder,
        "encoder=custom",
        "encoder.factory=mine:make",
        "+encoder.factory_options.patch_size=4",
        "batch_size=2",
    ]
    killed = run_tool(tmp_path, *overrides, KILL_AT_THIRD_BATCH="1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out" / "results.json").exists()
    finished = run_tool(tmp_path, *overrides)
    assert finished.returncode == 0, finished.stderr
    assert "2 of 3" in finished.stderr
    monkeypatch.chdir(tmp_path)
    leopart_eval(*overrides, f"output_dir={tmp_path / 'whole'}")
    assert figures(tmp_path / "out") == figures(tmp_path / "whole")
    assert figures(tmp_path / "out")["metrics"]["miou"]["mean"] == 100
    sys.modules.pop("mine", None)


def test_an_error_is_one_line_on_standard_error(tmp_path: Path):
    """In a process of its own: exit code, streams, nothing from Hydra and no traceback."""
    failed = run_tool(tmp_path, "dataset=voc", f"dataset.root={tmp_path / 'nowhere'}")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr.splitlines() == [
        f"error: {tmp_path / 'nowhere'} is not a folder; set the root of the data set"
    ]


def test_any_vision_transformer_of_timm(on_folder: list[str], tmp_path: Path):
    leopart_eval(
        *on_folder,
        "encoder=timm",
        "encoder.name=vit_tiny_patch16_224",
        "encoder.weights=random",
        "protocol.pca_dim=4",
    )
    results = read_results(tmp_path / "out")
    assert results["encoder"]["name"] == "vit_tiny_patch16_224"
    assert results["encoder"]["weights"] == "random"
    assert results["details"]["points"] == 6 * 4


def test_weights_from_a_file(on_folder: list[str], tmp_path: Path):
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    weights = tmp_path / "tiny.pth"
    torch.save(model.state_dict(), weights)
    overrides = [*on_folder, "encoder=timm", "encoder.name=vit_tiny_patch16_224"]
    leopart_eval(*overrides, f"encoder.weights={weights}", "protocol.pca_dim=4")
    encoder = read_results(tmp_path / "out")["encoder"]
    assert encoder["weights"] == str(weights)
    assert len(encoder["sha256"]) == 64


def test_a_benchmark_sets_the_protocol_and_records_published_rows(tmp_path: Path):
    root = tmp_path / "VOC2012"
    write_voc(root, SceneGenerator((64, 64)), {"val": 3})
    leopart_eval(
        "benchmark=voc_k500",
        f"dataset.root={root}",
        "protocol.num_clusters=30",
        f"output_dir={tmp_path / 'out'}",
    )
    results = read_results(tmp_path / "out")
    assert results["dataset"]["name"] == "voc"
    assert results["matching"]["rule"] == "many_to_one_precision"
    benchmark = results["benchmark"]
    assert benchmark["name"] == "voc_k500"
    rows = {(row["method"], row["encoder"]): row["miou"] for row in benchmark["published"]}
    assert rows["Leopart", "ViT-S/16"] == 53.5
    page = (tmp_path / "out" / "report.html").read_text()
    assert "53.5" in page


def test_images_without_masks_leave_cluster_masks(on_folder: list[str], folder: Path):
    for path in (folder / "masks").iterdir():
        path.unlink()
    (folder / "masks").rmdir()
    (folder / "classes.txt").unlink()
    leopart_eval(*on_folder, "protocol.num_clusters=5")
    out = folder.parent / "out"
    assert read_results(out)["metrics"] == {}
    masks = [np.asarray(Image.open(path)) for path in (out / "masks").glob("*.png")]
    assert len(masks) == 6
    assert {int(label) for mask in masks for label in np.unique(mask)} <= set(range(5))


def test_a_broken_image_is_named_and_the_run_goes_on(
    on_folder: list[str], folder: Path, capfd: pytest.CaptureFixture
):
    image = folder / "images" / "im02.png"
    jpeg = folder / "images" / "im02.jpg"
    Image.open(image).convert("RGB").resize((320, 320)).save(jpeg)
    image.unlink()
    Image.fromarray(np.zeros((320, 320), np.uint8)).save(folder / "masks" / "im02.png")
    jpeg.write_bytes(jpeg.read_bytes()[: jpeg.stat().st_size // 2])
    leopart_eval(*on_folder)
    results = read_results(folder.parent / "out")
    assert results["dataset"]["num_images"] == 5
    assert [item["name"] for item in results["dataset"]["broken"]] == ["im02"]
    assert "im02.jpg" in results["dataset"]["broken"][0]["reason"]
    printed = capfd.readouterr()
    assert "WARNING left out" in printed.err
    assert "1 broken: im02" in printed.out
    assert not (folder.parent / "out" / "masks" / "im02.png").exists()


def test_images_smaller_than_a_patch_are_resized_like_all_others(tmp_path: Path):
    for index in range(4):
        for name, mode in (("images", "RGB"), ("masks", "L")):
            path = tmp_path / "data" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (5, 3), index % 2).save(path)
    leopart_eval(
        "dataset=folder", f"dataset.root={tmp_path / 'data'}", f"output_dir={tmp_path / 'out'}"
    )
    with Image.open(tmp_path / "out" / "masks" / "0.png") as mask:
        assert mask.size == (5, 3)


def test_json_and_masks_can_be_left_out_of_the_page(on_folder: list[str], tmp_path: Path):
    leopart_eval(*on_folder, "masks=false", "page_images=0")
    assert not (tmp_path / "out" / "masks").exists()
    assert json.loads((tmp_path / "out" / "results.json").read_text())["settings"]["masks"] is False


def test_unsupervised_segmentation_draws_how_parts_became_objects(tmp_path: Path):
    leopart_eval(
        f"dataset.root={tmp_path / 'scenes'}",
        "+dataset.num_images=6",
        "encoder=timm",
        "encoder.name=test_vit",
        "encoder.weights=random",
        "protocol=unsupervised",
        "protocol.train_split=null",
        "protocol.seeds=[0,1]",
        "protocol.resolution=[128,128]",
        "protocol.score_resolution=[32,32]",
        "protocol.pca_dim=8",
        "protocol.foreground_clusters=6",
        "protocol.search.num_clusters=[6]",
        "protocol.search.edge_thresholds=[0.05]",
        "protocol.search.markov_times=[1.0]",
        "page_images=2",
        f"output_dir={tmp_path / 'out'}",
    )
    results = read_results(tmp_path / "out")
    assert results["protocol"] == "unsupervised"
    assert results["labels_used"] == {"fit": False, "select": False, "match": True}
    assert [(table["resolution"], table["refinement"]) for table in results["scores"]] == [
        ("32x32", "none"),
        ("full", "none"),
        ("32x32", "bilateral_grid"),
        ("full", "bilateral_grid"),
    ]
    assert len(results["details"]["communities"]) == 2
    page = (tmp_path / "out" / "report.html").read_text()
    assert "foreground, communities by stability" in page
    assert "<svg" in page
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == 6
