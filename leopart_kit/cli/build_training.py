"""From configuration nodes to the parts of a training run."""

from __future__ import annotations

import copy
from typing import Any

from lightning_fabric import Fabric
from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_part, plain
from leopart_kit.data import MultiCropTransform, PhotometricAugmentation
from leopart_kit.methods import (
    AnchoredLeopart,
    AnchoredSettings,
    Leopart,
    LeopartSettings,
    LinearProjection,
    PatchClusterer,
    ProjectionHead,
    Prototypes,
    TokenAnchor,
    TokenChunks,
    student_of,
    warm_start,
)
from leopart_kit.training import (
    SeededSamples,
    TrainingLoader,
    TrainingSettings,
    default_num_workers,
    steps_for_epochs,
)

Head = tuple[ProjectionHead | LinearProjection, Prototypes]

_PROJECTIONS = {"mlp": ProjectionHead, "linear": LinearProjection}


def build_views(config: DictConfig, encoder: Encoder) -> MultiCropTransform:
    """Views normalised as the encoder wants them.

    Raises:
        ValueError: a view that is no whole number of patches wide.
    """
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in plain(config).items()
    }
    photometric = PhotometricAugmentation(
        strength=options.pop("jitter"),
        grey_probability=options.pop("grey_probability"),
        blur_probability=options.pop("blur_probability"),
    )
    check_patches("views.global_size", options["global_size"], encoder)
    if options["num_local"]:
        check_patches("views.local_size", options["local_size"], encoder)
    given = {
        "photometric": photometric,
        "mean": encoder.mean,
        "std": encoder.std,
    }
    return build_part(MultiCropTransform, "views", {**options, **given})


def check_patches(name: str, size: int, encoder: Encoder) -> None:
    """Raise `ValueError` for a view of a size that is no whole number of patches."""
    below = size // encoder.patch_size * encoder.patch_size
    if below != size:
        raise ValueError(
            f"{name}={size} is no multiple of the patch size {encoder.patch_size} of "
            f"{encoder.name}; use {f'{below} or ' if below else ''}{below + encoder.patch_size}"
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
        return default_num_workers(fabric.device.type, fabric.world_size)
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


def check_head(config: DictConfig) -> None:
    """Raise `ValueError` for an unknown projection, or for a warm start of an MLP."""
    if config.projection not in _PROJECTIONS:
        raise ValueError(f"method.projection must be mlp or linear, got {config.projection!r}")
    if config.warm_start and config.projection != "linear":
        raise ValueError("method.warm_start=true needs method.projection=linear (a PCA is linear)")


def build_leopart(
    config: DictConfig, encoder: Encoder, num_global: int, tokens: TokenChunks | None, seed: int
) -> Leopart:
    """Student and teacher; with `tokens` their head starts from the data's own patch tokens.

    Raises:
        ValueError: see `check_head`, or a setting that does not exist or is out of range.
    """
    check_head(config)
    options = plain(config)
    num_prototypes, projection, dim, separate_heads = (
        options.pop(key)
        for key in ("num_prototypes", "projection", "projection_dim", "separate_heads")
    )
    around = ("name", "drop_path", "warm_start", "warm_start_images", "warm_start_resolution")
    for key in around:
        options.pop(key)

    def head(tokens: TokenChunks | None) -> Head:
        return _build_head(projection, encoder.embed_dim, dim, num_prototypes, tokens, seed)

    teacher = None
    if separate_heads:
        teacher = PatchClusterer(copy.deepcopy(encoder), *head(None))
    student = PatchClusterer(encoder, *head(tokens))
    settings = build_part(LeopartSettings, "method", options)
    return Leopart(student, settings, num_global=num_global, teacher=teacher)


def build_anchored(
    config: DictConfig, encoder: Encoder, tokens: TokenChunks | None, seed: int
) -> AnchoredLeopart:
    """Anchor and student; without `tokens` the anchor is empty, to be filled from a checkpoint."""
    options = plain(config)
    for key in ("name", "drop_path", "anchor_resolution"):
        options.pop(key)
    num_prototypes, dim, epsilon, num_iterations = (
        options.pop(key)
        for key in ("num_prototypes", "projection_dim", "epsilon", "sinkhorn_iterations")
    )
    settings = build_part(AnchoredSettings, "method", options)
    if tokens is None:
        anchor = TokenAnchor.empty(encoder.embed_dim, num_prototypes, dim, epsilon)
    else:
        anchor = TokenAnchor.fit(
            tokens,
            num_prototypes,
            projection_dim=dim,
            epsilon=epsilon,
            num_iterations=num_iterations,
            seed=seed,
        )
    return AnchoredLeopart(student_of(anchor, encoder), anchor, settings)


def _build_head(
    projection: str,
    embed_dim: int,
    dim: int,
    num_prototypes: int,
    tokens: TokenChunks | None,
    seed: int,
) -> Head:
    if tokens is None:
        return _PROJECTIONS[projection](embed_dim, out_dim=dim), Prototypes(dim, num_prototypes)
    return warm_start(tokens, num_prototypes, projection_dim=dim, seed=seed)
