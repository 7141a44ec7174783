"""A disk that is full at any moment of a run: one line that names a path."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli import forked
from tests.cli.runs import KINDS, small_run

NUM_SIZES = 3


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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "benchmark"])
def test_a_full_disk_is_one_line_that_names_a_path(kind: str, disk: Path, tmp_path: Path):
    command, words, _ = small_run(kind, tmp_path / "data")
    out = disk / "out"

    def run() -> tuple[int | None, str]:
        process = forked.start(command, kind, [*words, f"output_dir={out}"], tmp_path / "printed")
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
    command, words, _ = small_run("overclustering", tmp_path / "data")
    arguments = [*words, f"output_dir={disk / 'out'}", f"cache_dir={tmp_path / 'cache'}"]
    subprocess.run(["mount", "-o", "remount,size=512k", str(disk)], check=True)
    process = forked.start(command, "leopart eval", arguments, tmp_path / "printed")
    process.join()
    assert process.exitcode == 0, (tmp_path / "printed").read_text()
    assert (disk / "out" / "report.html").is_file()
