"""Run `leopart train` in this process on a few tiny images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from leopart_kit.cli.train import main
from leopart_kit.training import list_checkpoints
from tests.cli.command import error_of_command, run_command_line
from tests.methods.tiny_clusterer import patchy_images

MODEL, SIDE = "test_vit", 160
"""A vision transformer of timm for tests: 6 blocks of 64 channels, patches of 16 px."""

TINY = (
    "encoder=timm",
    f"encoder.name={MODEL}",
    "encoder.weights=random",
    "views.global_size=64",
    "views.local_size=32",
    "views.num_local=1",
    "batch_size=2",
    "trainer.max_steps=4",
    "trainer.log_every=1",
    "trainer.checkpoint_every=2",
    "logger=csv",
    "method.num_prototypes=6",
    "method.projection_dim=8",
    "evaluation.protocol.resolution=[32,32]",
    "evaluation.protocol.score_resolution=[16,16]",
    "evaluation.protocol.seeds=[0]",
    "evaluation.protocol.pca_dim=4",
    "evaluation.page_images=2",
    "accelerator=cpu",
)
"""Settings of a run of seconds."""

LEOPART = ("method.queue_length=12", "method.foreground=all", "method.projection=linear")
ANCHORED = (
    "method=anchored_leopart",
    "method.anchor_resolution=[64,64]",
    "method.trained_blocks=2",
)


def arguments(images: Path, output_dir: Path, *overrides: str) -> list[str]:
    """The command line of a run on a folder of images; later overrides win."""
    own = ["dataset=folder", f"dataset.root={images}", f"output_dir={output_dir}"]
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    return [o for o in (*TINY, *own) if o.partition("=")[0] not in given] + list(overrides)


def leopart_train(images: Path, output_dir: Path, *overrides: str) -> None:
    """One whole run."""
    run_command_line(main, "leopart train", arguments(images, output_dir, *overrides))


def error_of_training(images: Path, output_dir: Path, *overrides: str) -> str:
    """The error line of a run that must fail as a user's mistake."""
    return error_of_command(main, "leopart train", arguments(images, output_dir, *overrides))


def stand_beside(folder: Path, file: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user is in a folder that holds a module of theirs and six images."""
    (folder / file).write_text(source)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    write_images(folder / "images")


def write_images(folder: Path, num: int = 6, size: int = 48, seed: int = 0) -> Path:
    """PNGs of random patches, without masks."""
    folder.mkdir(parents=True)
    for index, image in enumerate(patchy_images(num, seed, size)):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"im{index}.png")
    return folder


def broken_off_copy(finished: Path, folder: Path) -> Path:
    """A copy of a training's folder as it was before its last checkpoint."""
    shutil.copytree(finished, folder)
    list_checkpoints(folder / "checkpoints")[-1].unlink()
    for name in ("identity.json", "backbone.safetensors", "report.html"):
        (folder / name).unlink()
    return folder
