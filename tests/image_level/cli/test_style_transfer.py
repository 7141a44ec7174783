"""`leopart style`: the image it writes, and its mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.image_level.cli.style_transfer import main
from tests.cli.command import error_of_command, run_command_line


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for name, size, top in (("content", (40, 60), 90), ("style", (50, 30), 256)):
        pixels = generator.integers(0, top, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return [
        f"content={tmp_path / 'content.png'}",
        f"style={tmp_path / 'style.png'}",
        "encoder=timm",
        "encoder.name=test_vit",
        "encoder.weights=random",
        "transfer.steps=15",
        f"output_dir={tmp_path / 'out'}",
    ]


def test_it_writes_the_image_and_the_filters(given: list[str], tmp_path: Path):
    run_command_line(main, "leopart style", [*given, "size=48"])
    with Image.open(tmp_path / "out" / "stylised.png") as painted:
        assert painted.size == (48, 32)
        mean = np.asarray(painted).mean()
    with Image.open(tmp_path / "content.png") as content, Image.open("style.png") as style:
        assert np.asarray(content).mean() < mean < np.asarray(style).mean()
    assert (tmp_path / "out" / "filters.png").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["content=gone.jpg"], "gone.jpg does not exist"),
        (["transfer.style_layers=[conv1]"], "test_vit has no layer 'conv1'; it has block1"),
        (["+transfer.depth=2"], "transfer has no setting 'depth'"),
        (["device=gpu"], "device=gpu cannot be used here"),
    ],
)
def test_mistakes_end_in_one_line(given: list[str], overrides: list[str], message: str):
    names = [override.partition("=")[0] for override in overrides]
    kept = [g for g in given if g.partition("=")[0] not in names]
    assert re.search(message, error_of_command(main, "leopart style", [*kept, *overrides]))
