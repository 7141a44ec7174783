from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.tiny_data import write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six labelled images of 32 x 32 pixels with four classes, as `dataset=folder` reads them."""
    write_folder(tmp_path / "data", 6)
    return tmp_path / "data"


@pytest.fixture
def on_folder(folder: Path, tmp_path: Path) -> list[str]:
    """Overrides that evaluate the classical encoder on `folder`, into `tmp_path / "out"`."""
    return ["dataset=folder", f"dataset.root={folder}", f"output_dir={tmp_path / 'out'}"]
