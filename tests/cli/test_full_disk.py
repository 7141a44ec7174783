"""A disk that is full at any moment of a run: one line that names a path."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leopart_kit.cli import eval_segmentation, export_masks, train
from tests.cli import forked, train_command
from tests.evaluation.test_unsupervised import write_objects
from tests.evaluation.tiny_data import write_folder

COLOURS = ("encoder=custom", "encoder.factory=tests.cli.mean_colours:mean_colours")
# Large enough that each mapped file is a good part of what a run needs.
SMALL = ("protocol.score_resolution=[128,128]", "protocol.seeds=[0]", "page_images=2")
LARGE = "protocol.resolution=[256,256]"
PROBE = (
    "protocol.train_split=all",
    "protocol.epochs=2",
    "protocol.train_resolution=[16,16]",
    LARGE,
)
FORMATS = "export.formats=[png,coco_rle,coco_polygons,panoptic,labelme,yolo]"
EVALUATIONS = {
    "overclustering": ("protocol.num_clusters=5", LARGE, *COLOURS),
    "linear": (*PROBE, *COLOURS),
    "in_context": (
        *COLOURS,
        "protocol.train_split=all",
        "protocol.neighbours=3",
        LARGE,
    ),
    "unsupervised": (
        *("encoder=timm", f"encoder.name={train_command.MODEL}", "encoder.weights=random"),
        *("protocol.train_split=null", "protocol.foreground_clusters=5"),
        *("protocol.num_clusters=4", LARGE),
        *("protocol.edge_threshold=0.1", "protocol.markov_time=1.0"),
    ),
}
NUM_SIZES = 3

Run = tuple[Callable[[], None], list[str]]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("a disk of a chosen size needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def command_line(name: str, tmp_path: Path) -> Run:
    """The program and the overrides of one kind of run, on data that it makes."""
    if name == "training":
        images = train_command.write_images(tmp_path / "data")
        words = train_command.arguments(images, Path(), *train_command.LEOPART)
        return train.main, [word for word in words if not word.startswith("output_dir=")]
    if name == "export":
        write_folder(tmp_path / "data", 6)
        words = [f"images={tmp_path / 'data' / 'images'}", LARGE, *COLOURS]
        return export_masks.main, [*words, "protocol.num_clusters=4", FORMATS]
    if name == "unsupervised":
        write_objects(tmp_path / "data", 8)
    else:
        write_folder(tmp_path / "data", 6)
    words = [f"protocol={name}", "dataset=folder", f"dataset.root={tmp_path / 'data'}"]
    return eval_segmentation.main, [*words, *SMALL, *EVALUATIONS[name]]


@pytest.mark.parametrize("name", [*EVALUATIONS, "export", "training"])
def test_a_full_disk_is_one_line_that_names_a_path(name: str, disk: Path, tmp_path: Path):
    command, words = command_line(name, tmp_path)
    out = disk / "out"

    def run() -> tuple[int | None, str]:
        process = forked.start(command, name, [*words, f"output_dir={out}"], tmp_path / "printed")
        process.join()
        return process.exitcode, (tmp_path / "printed").read_text()

    before = shutil.disk_usage(disk).used
    code, printed = run()
    assert code == 0, printed
    needed = shutil.disk_usage(disk).used - before
    shutil.rmtree(out)
    for share in range(NUM_SIZES):
        size = int(needed * (share + 0.5) / NUM_SIZES) // 4096 * 4096
        subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
        code, printed = run()
        *_, line = printed.splitlines()
        assert (code, line[:7]) == (1, "error: "), printed
        assert str(disk) in line
        assert "Traceback" not in printed
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        shutil.rmtree(out, ignore_errors=True)


def test_a_page_needs_the_space_of_a_page_alone(disk: Path, tmp_path: Path):
    command, words = command_line("overclustering", tmp_path)
    arguments = [*words, f"output_dir={disk / 'out'}", f"cache_dir={tmp_path / 'cache'}"]
    subprocess.run(["mount", "-o", "remount,size=512k", str(disk)], check=True)
    process = forked.start(command, "leopart-eval", arguments, tmp_path / "printed")
    process.join()
    assert process.exitcode == 0, (tmp_path / "printed").read_text()
    assert (disk / "out" / "report.html").is_file()
