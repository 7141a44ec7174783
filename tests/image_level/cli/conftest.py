from __future__ import annotations

from pathlib import Path

import pytest

from tests.image_level.cli.compare_command import SMALL
from tests.image_level.evaluation.tiny_images import write_colours


@pytest.fixture
def on_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides for ten training and four test images of each of three colours, in folders."""
    write_colours(tmp_path / "data", "train", 10)
    write_colours(tmp_path / "data", "test", 4)
    monkeypatch.chdir(tmp_path)
    return [f"dataset.root={tmp_path / 'data'}", f"output_dir={tmp_path / 'out'}"]


@pytest.fixture
def comparison(on_colours: list[str]) -> list[str]:
    """Two methods of three steps on ten images of each of three colours."""
    return [
        *on_colours,
        "accelerator=cpu",
        "methods={rotnet: null, simclr: 'recipe=cifar10_simclr method.hidden_dim=16'}",
        f'training="{SMALL}"',
        'evaluation="protocol.knn.neighbours=5 protocol.linear.epochs=2 '
        'protocol.linear.layers=[output]"',
    ]
