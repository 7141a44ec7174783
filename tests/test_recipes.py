"""Every training recipe and ablation composes, fits the code and says what it costs and gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from leopart_kit.backbones.zoo import ZOO
from leopart_kit.cli.build import plain
from leopart_kit.cli.config import config_folder, register_configs
from leopart_kit.cli.declared import declared_names
from leopart_kit.cli.rounds import rounds_of
from leopart_kit.cli.run_parts import build_settings
from leopart_kit.data import list_datasets

CONFIGS = config_folder("configs")
RECIPES = sorted(path.stem for path in (CONFIGS / "recipe").glob("*.yaml"))
ABLATIONS = sorted(path.stem for path in (CONFIGS / "ablation").glob("*.yaml"))
# Leopart's own recipes; all three have the numbers of S/16.
OF_THE_PAPER = ["leopart_vits16_in100", "leopart_vits16_coco", "as_released"]


def composed(*overrides: str) -> DictConfig:
    """The configuration of `leopart train` with these overrides."""
    register_configs()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["output_dir=x", *overrides])


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_data_and_encoders_that_exist(name: str):
    for config in rounds(name):
        check_parts(config)


def rounds(name: str) -> list[DictConfig]:
    """The configurations of all trainings that a recipe asks for."""
    words = [f"recipe={name}", "dataset.root=x"]
    config = composed(*words)
    if config.rounds == 1:
        return [config]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return [one.config for one in rounds_of(config, Path("x"), words)]


def check_parts(config: DictConfig) -> None:
    assert config.dataset.name in list_datasets()
    assert config.method.name in declared_names("method")
    spec = ZOO.get(config.encoder.name)
    if spec is not None and spec.architecture.kind == "ViT":
        views = config.views
        sizes = [views.global_size, *([views.local_size] if views.num_local else [])]
        if "crop_size" in config.method:  # of stored features, in place of views
            sizes = [config.method.crop_size]
        assert not any(size % spec.architecture.patch_size for size in sizes)
    # As many as ImageNet has: what warms up in epochs needs more steps than a small set gives.
    build_settings(config, num_images=1_281_167, world_size=2)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_say_how_to_run_them_what_they_cost_and_give(name: str):
    text = (CONFIGS / "recipe" / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n# ")
    assert f"recipe={name}" in text
    assert "# Cost: " in text
    assert "# Expected: " in text or "# Then: " in text


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_numbers_of_the_paper(name: str):
    config = composed(f"recipe={name}")
    assert (config.epochs, config.batch_size, config.precision) == (50, 32, "fp32")
    method = plain(config.method)
    assert method["projection"] == "mlp"
    assert method["projection_dim"] == 256
    assert method["num_prototypes"] == 300
    assert not method["warm_start"]
    assert method["foreground"] == "fg"
    assert method["foreground_mass"] == 0.6
    assert method["queue_length"] == 8192
    assert method["trained_blocks"] is None
    assert (method["backbone_learning_rate"], method["head_learning_rate"]) == (1e-5, 1e-4)
    assert (method["epsilon"], method["temperature"], method["roi_size"]) == (0.05, 0.1, 7)
    trainer = plain(config.trainer)
    assert (trainer["weight_decay"], trainer["final_weight_decay"]) == (0.04, 0.5)
    assert (trainer["momentum"], trainer["final_momentum"]) == (0.9995, 1.0)
    assert (trainer["warmup_steps"], trainer["final_learning_rate"]) == (0, 0.0)
    views = plain(config.views)
    assert (views["global_size"], views["local_size"]) == (224, 96)
    assert (views["num_global"], views["num_local"]) == (2, 4)
    assert (views["global_scale"], views["local_scale"]) == ([0.25, 1.0], [0.05, 0.25])
    assert views["flip_probability"] == 0


def test_length_of_the_paper_s_training():
    config = composed("recipe=leopart_vits16_in100")
    assert build_settings(config, num_images=126_689, world_size=2).max_steps == 98_976
    config = composed("recipe=leopart_vitb8_coco")
    assert build_settings(config, num_images=118_287, world_size=2).max_steps == 184_824


def test_where_recipes_differ_from_the_paper_s_s16():
    b8 = composed("recipe=leopart_vitb8_coco")
    assert b8.encoder.name == "dino_vitb8"
    assert (b8.batch_size, b8.method.backbone_learning_rate) == (16, 5e-6)
    assert b8.method.head_learning_rate == 5e-5
    scratch = composed("recipe=leopart_scratch")
    assert (scratch.encoder.name, scratch.dataset.name) == ("random_vits16", "imagenet")
    assert (scratch.epochs, scratch.method.foreground) == (400, "all")
    released = composed("recipe=as_released")
    assert released.method.ema_before_update
    assert released.method.separate_heads
    assert released.method.queue_scored_by == "student"
    assert released.dataset.name == "imagenet100"


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations_change_some_numbers_of_any_recipe_and_add_none(name: str):
    for recipe in ("leopart_vits16_in100", "leopart_scratch"):
        without = plain(composed(f"recipe={recipe}", "dataset.root=x"))
        with_it = plain(composed(f"recipe={recipe}", "dataset.root=x", f"ablation={name}"))
        changed = {
            f"{group}.{key}"
            for group in ("method", "views", "trainer")
            for key in with_it[group]
            if with_it[group][key] != without[group].get(key)
        }
        if (recipe, name) != ("leopart_scratch", "no_foreground"):
            assert changed
        assert all(set(with_it[g]) == set(without[g]) for g in ("method", "views", "trainer"))
        assert with_it["epochs"] == without["epochs"]


def test_ablations_combine_and_the_user_wins():
    config = composed("ablation=[no_queue,no_local_crops]", "recipe=leopart_scratch", "epochs=3")
    assert (config.method.queue_length, config.views.num_local, config.epochs) == (0, 0, 3)
    assert config.method.foreground == "all"


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_set_no_key_that_the_configuration_lacks(name: str):
    config = composed(f"recipe={name}")
    defaults = composed(f"method={config.method.name}")
    assert set(config) == set(defaults)
    for group in ("method", "views", "trainer", "evaluation"):
        assert set(config[group]) == set(defaults[group])
