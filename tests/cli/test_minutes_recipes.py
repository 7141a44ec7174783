"""What the recipes for minutes on a CPU give out has learned something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from leopart_kit.backbones import load_encoder
from leopart_kit.cli.train import main
from leopart_kit.parts import config_folder
from tests.cli.command import error_of_command, run_command_line
from tests.cli.train_command import LEOPART, MODEL, TINY, write_images

RECIPES = sorted(
    path.stem
    for path in (config_folder("configs") / "recipe").glob("*_cpu_minutes.yaml")
    if path.stem not in ("stego_cpu_minutes", "anchored_cpu_minutes")  # a head; other words
)
SIZES = ("method.num_prototypes=6", "method.projection_dim=8", *LEOPART)


def words(recipe: str, images: Path, *more: str) -> list[str]:
    small = [word for word in TINY if not word.startswith(("method.", "views.num_local"))]
    own = SIZES if recipe == "leopart_cpu_minutes" else ()
    if recipe in ("dino_cpu_minutes", "ibot_cpu_minutes"):
        own = ("method.num_outputs=8", "method.hidden_dim=16", "method.out_dim=8")
    if recipe == "leopart_neco_cpu_minutes":
        rounds = (
            f"rounds=['recipe=leopart_cpu_minutes {' '.join(SIZES)}','recipe=neco_cpu_minutes']"
        )
        own = (rounds,)
    place = (
        "dataset=folder",
        f"dataset.root={images}",
        "encoder.seed=1",
        "precision=fp32",
        "trainer.warmup_steps=1",
    )
    return [f"recipe={recipe}", *small, *own, *place, *more]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_encoder_is_another_one_after_the_training(recipe: str, tmp_path: Path):
    images = write_images(tmp_path / "images", 8)
    given = words(recipe, images, f"output_dir={tmp_path / 'out'}")
    run_command_line(main, "leopart train", given)
    trained = load_file(tmp_path / "out" / "backbone.safetensors")
    start = load_encoder(MODEL, "random", seed=1).state_dict()
    changed = [
        name
        for name, value in start.items()
        if not torch.equal(trained[name.removeprefix("vit.")], value)
    ]
    assert len(changed) > len(start) / 2


@pytest.mark.parametrize("recipe", ["dino_cpu_minutes", "ibot_cpu_minutes"])
def test_a_teacher_that_is_given_out_must_move(recipe: str, tmp_path: Path):
    images = write_images(tmp_path / "images", 8)
    given = words(recipe, images, "trainer.momentum=1", f"output_dir={tmp_path / 'out'}")
    error = error_of_command(main, "leopart train", given)
    assert error.startswith("error: trainer.momentum=1")
    assert not (tmp_path / "out" / "metrics.jsonl").exists()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("steps", ["trainer.max_steps=4", "trainer.max_steps=null epochs=1"])
def test_a_run_that_ends_in_its_warm_up_is_told_by_both_settings(
    recipe: str, steps: str, tmp_path: Path
):
    images = write_images(tmp_path / "images", 8)
    more = [*steps.split(), "trainer.warmup_steps=4", f"output_dir={tmp_path / 'out'}"]
    error = error_of_command(main, "leopart train", words(recipe, images, *more))
    assert "trainer.warmup_steps" in error
    assert "trainer.max_steps=4" in error
    assert "num_steps" not in error
