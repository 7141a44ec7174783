"""From configuration nodes to the loop's parts: its numbers and its batches."""

from __future__ import annotations

from lightning_fabric import Fabric
from omegaconf import DictConfig

from leopart_kit.cli.build import build_part, plain
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    default_num_workers,
    steps_for_epochs,
)


def build_loader(config: DictConfig, samples: SeededSamples, fabric: Fabric) -> TrainingLoader:
    """Batches for this process."""
    return TrainingLoader(
        samples,
        config.batch_size,
        num_workers=choose_workers(config.num_workers, fabric),
        rank=fabric.global_rank,
        world_size=fabric.world_size,
        pin_memory=fabric.device.type == "cuda",
    )


def choose_workers(num_workers: int | str, fabric: Fabric) -> int:
    """`auto` is what suits the machine.

    Raises:
        ValueError: neither `auto` nor a number.
    """
    if num_workers == "auto":
        return default_num_workers(fabric.device.type)
    if not isinstance(num_workers, int):
        raise ValueError(f"num_workers must be auto or a whole number, got {num_workers!r}")
    return num_workers


def build_settings(config: DictConfig, num_images: int, world_size: int) -> TrainingSettings:
    """The loop's numbers; `epochs` decides where `trainer.max_steps` is null."""
    options = plain(config.trainer)
    if options["max_steps"] is None:
        images_per_step = config.batch_size * world_size * options["accumulate_steps"]
        options["max_steps"] = steps_for_epochs(config.epochs, num_images, images_per_step)
    if options["evaluate_every"] is None:
        options["evaluate_every"] = options["max_steps"]
    return build_part(TrainingSettings, "trainer", {"seed": config.seed, **options})
