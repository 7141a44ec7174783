"""A training of every method on the logical device, and the traffic of its steps.

Run by `test_logical_device.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.cli.declared import PACKAGES
from leopart_kit.parts import list_parts
from tests.cli.train_command import arguments, write_images
from tests.image_level.cli import test_train_image_methods as image_level
from tests.logical_device.training import train_on_device

_HEAD = ("method.num_prototypes=6", "method.projection_dim=8")
DENSE = {
    "anchored_leopart": (*_HEAD, "method.anchor_resolution=[64,64]", "method.trained_blocks=2"),
    "leopart": (*_HEAD, "method.queue_length=12"),
    "neco": ("method.projection_dim=8", "method.queue_length=60"),
    "paka": ("method.projection_dim=8", "method.gram_weight=1"),
    "stego": ("method.crop_size=64", "method.num_clusters=6"),
}
LABELLING = ("deep_cluster", "sela")
"""In some steps they go through all images first, which is not counted here."""
MOST = 3


def words_of(method: str, folder: Path) -> list[str]:
    """A run of four steps on six images."""
    if method in image_level.SMALL:
        given = image_level.arguments(folder / "out", method)
    else:
        given = arguments(write_images(folder / "images"), folder / "out", f"method={method}")
        given = [word for word in given if not word.startswith("method.")] + [*DENSE[method]]
    return [word for word in given if "max_steps" not in word] + ["trainer.max_steps=4"]


@pytest.mark.parametrize("method", list_parts(PACKAGES["method"]))
def test_a_method(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    steps = train_on_device(words_of(method, tmp_path), monkeypatch)
    assert len(steps) == 4
    counted = sorted(steps[1:], key=lambda seen: len(seen.syncs))  # warnings are due in the first
    for seen in counted[:2] if method in LABELLING else counted:
        assert len(seen.syncs) <= MOST, str(seen)
        assert not seen.copies, str(seen)


def test_the_norm_of_gradients_is_read_with_the_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    words = [*words_of("leopart", tmp_path), "trainer.clip_norm=0.5", "trainer.accumulate_steps=2"]
    for seen in train_on_device(words, monkeypatch)[1:]:
        assert len(seen.syncs) == 3, str(seen)  # both batches fill the queue
        assert not seen.copies, str(seen)
