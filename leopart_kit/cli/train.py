"""`leopart-train`: train an encoder's patch tokens without labels, and show what it changed."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from lightning_fabric import Fabric
from omegaconf import DictConfig
from safetensors.torch import save_file

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset, build_encoder
from leopart_kit.cli.build_training import (
    build_anchored,
    build_leopart,
    build_loader,
    build_settings,
    build_views,
    check_head,
)
from leopart_kit.cli.config import run_command
from leopart_kit.cli.training_report import TrainingReport
from leopart_kit.data import AnchoredTransform, MultiCropTransform, SegmentationDataset
from leopart_kit.evaluation import FeatureStore, extract_features
from leopart_kit.methods import AnchoredLeopart, Leopart, Method
from leopart_kit.progress import rich_progress
from leopart_kit.report import writable_output_dir
from leopart_kit.training import (
    ImagesOf,
    ImagesWithTokens,
    NonFiniteLoss,
    SeededSamples,
    TrainingInterrupted,
    build_fabric,
    list_checkpoints,
    seed_everything,
    train,
    training_bar,
)

logger = logging.getLogger(__name__)


def train_command(config: DictConfig, output_dir: Path) -> None:
    """Train, then write backbone.safetensors, the evaluations and report.html."""
    writable_output_dir(output_dir)
    builders = {"leopart": _leopart, "anchored_leopart": _anchored_leopart}
    if config.method.name not in builders:
        raise ValueError(f"unknown method {config.method.name!r}; there is {', '.join(builders)}")
    precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
    fabric = build_fabric(config.accelerator, precision)
    # A folder named by the time may have another name in each process.
    output_dir, config.cache_dir = fabric.broadcast((output_dir, config.cache_dir))
    seed_everything(config.seed)
    dataset = build_dataset(config.dataset)
    encoder = build_encoder(config.encoder, config.precision, config.method.drop_path)
    views = build_views(config.views, encoder)
    settings = build_settings(config, len(dataset), fabric.world_size)
    report = TrainingReport(config, dataset, output_dir, fabric.device)
    build = builders[config.method.name]
    # Built first: a setting that does not fit shows before the time of an evaluation has passed.
    method, samples = build(config, encoder, dataset, views, fabric, output_dir)
    loader = build_loader(config, samples, fabric)
    before = report.evaluate(encoder, "before") if fabric.is_global_zero else None

    def on_evaluate(method: Method, step: int) -> Mapping[str, float]:
        if step == settings.max_steps:  # measured below, with the final weights on disk
            return {}
        metrics = report.evaluate(_student(method), f"step_{step}").metrics
        return {name: summary.mean for name, summary in metrics.items()}

    summary = train(
        method,
        loader,
        settings,
        output_dir,
        fabric=fabric,
        on_evaluate=on_evaluate,
        progress=training_bar,
    )
    logger.info("%d steps, %.2f images/s", summary.steps, summary.images_per_second)
    if summary.broken_samples:
        logger.warning("%d broken images were skipped", len(summary.broken_samples))
    if before is not None:
        student = _student(method)
        student.weights = str(save_backbone(student, output_dir / "backbone.safetensors"))
        command = shlex.join(["leopart-train", *HydraConfig.get().overrides.task])
        report.write(before, report.evaluate(student, "after"), command)


def save_backbone(encoder: Encoder, path: Path) -> Path:
    """Write the backbone alone in timm's naming: for `load_encoder`, and for plain timm."""
    module = getattr(encoder, "vit", encoder)
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    save_file(state, path, metadata={"format": "pt", "encoder": encoder.name})
    return path


def _student(method: Method) -> Encoder:
    if not isinstance(method, Leopart | AnchoredLeopart):
        raise ValueError(f"{type(method).__name__} has no student backbone to evaluate")
    return method.student.backbone


def _leopart(
    config: DictConfig,
    encoder: Encoder,
    dataset: SegmentationDataset,
    views: MultiCropTransform,
    fabric: Fabric,
    output_dir: Path,
) -> tuple[Method, SeededSamples]:
    check_head(config.method)
    tokens = None
    # One process fits the head, the others receive it; a resumed run's checkpoint has it.
    if config.method.warm_start and fabric.is_global_zero and not _resumes(config, output_dir):
        sample = dataset.spread(config.method.warm_start_images)
        tokens = _features(config, encoder, sample, (448, 448), fabric).chunks
    method = build_leopart(config.method, encoder, views.num_global, tokens, config.seed)
    return method, SeededSamples(ImagesOf(dataset), views, config.seed)


def _anchored_leopart(
    config: DictConfig,
    encoder: Encoder,
    dataset: SegmentationDataset,
    views: MultiCropTransform,
    fabric: Fabric,
    output_dir: Path,
) -> tuple[Method, SeededSamples]:
    resolution = tuple(config.method.anchor_resolution)
    if fabric.is_global_zero:
        _features(config, encoder, dataset, resolution, fabric)
    fabric.barrier()  # the others read what the first process has written
    store = _features(config, encoder, dataset, resolution, fabric)
    resumes = _resumes(config, output_dir)
    tokens = None if resumes or not fabric.is_global_zero else store.chunks
    method = build_anchored(config.method, encoder, tokens, config.seed)
    broken = len(dataset) - len(store.indices)
    if broken:
        logger.warning("%d of %d images are left out, their files are broken", broken, len(dataset))
    images = ImagesWithTokens(dataset, store.tokens, store.indices.tolist(), store.grid)
    return method, SeededSamples(images, AnchoredTransform(views), config.seed)


def _resumes(config: DictConfig, output_dir: Path) -> bool:
    named = config.trainer.resume not in ("auto", "never")
    return named or bool(list_checkpoints(output_dir / "checkpoints"))


def _features(
    config: DictConfig,
    encoder: Encoder,
    dataset: SegmentationDataset,
    resolution: tuple[int, int],
    fabric: Fabric,
) -> FeatureStore:
    """Patch tokens of the encoder as it was before training."""
    return extract_features(
        encoder,
        dataset,
        cache_dir=Path(config.cache_dir),
        resolution=resolution,
        device=fabric.device,
        track=rich_progress,
    )


def main() -> None:
    """Entry point of `leopart-train`."""
    run_command("train", train_command, expected=(NonFiniteLoss, TrainingInterrupted))
