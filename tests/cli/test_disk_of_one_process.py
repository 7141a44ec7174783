"""A disk that is full for one of several processes: all end, and a path is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.launched import EVALUATE, launch_torchrun
from tests.evaluation.tiny_data import write_folder


# Bytes that hold neither the tokens, nor the tokens after their projection, nor the labels.
@pytest.mark.parametrize("room", [200, 4000])
def test_a_disk_that_is_full_for_one_process_ends_all(tmp_path: Path, room: int):
    write_folder(tmp_path / "data", 8)
    words = [
        "dataset=folder", f"dataset.root={tmp_path / 'data'}", f"output_dir={tmp_path / 'out'}",
        "encoder=custom", "encoder.factory=tests.cli.small_disk:colours",
        f"encoder.factory_options={{room: {room}}}", "protocol.resolution=[64,64]",
        "protocol.num_clusters=8", "protocol.seeds=[0]", "protocol.pca_dim=null", "page_images=0",
    ]  # fmt: skip
    done = launch_torchrun(EVALUATE, words, 2, tmp_path)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert 1 <= len(told) <= 2  # the launcher may end the other before it has said so
    assert any(str(tmp_path / "out") in line for line in told)
    assert "leopart_kit/" not in done.stderr  # no traceback of ours
