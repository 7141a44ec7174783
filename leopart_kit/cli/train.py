"""`leopart train`: train an encoder's patch tokens without labels, and show what it changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lightning_fabric import Fabric
from omegaconf import DictConfig
from torch import nn

from leopart_kit.backbones.saved_backbone import (
    BACKBONE_NAME,
    save_backbone,
)
from leopart_kit.cli.build import build_dataset, build_encoder
from leopart_kit.cli.cells import choose_benchmarks
from leopart_kit.cli.commands import read_command
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.cli.reuse import training_identity
from leopart_kit.cli.run_parts import RunParts, build_loader, build_settings, read_method
from leopart_kit.cli.signals import requeue_if_asked
from leopart_kit.cli.train_settings import TrainCommand
from leopart_kit.cli.training_report import TrainingReport
from leopart_kit.image_level.data.assignments import write_assignments
from leopart_kit.methods import Method
from leopart_kit.processes import Processes, check_shared
from leopart_kit.report import writable_output_dir
from leopart_kit.training import (
    NonFiniteLoss,
    TrainingInterrupted,
    build_fabric,
    check_folder,
    find_loggers,
    record_run,
    seed_everything,
    train,
    training_bar,
)

PART = TrainCommand

logger = logging.getLogger(__name__)


def train_command(config: DictConfig, output_dir: Path) -> None:
    """Train, then write backbone.safetensors, the evaluations and report.html."""
    try:
        run_training(config, output_dir, repeated_by("leopart train", "train", config))
    except TrainingInterrupted as stopped:
        requeue_if_asked(stopped.signal_name)
        raise


def run_training(config: DictConfig, output_dir: Path, command: str) -> None:
    """One training with all it leaves on disk, `identity.json` last; `command` repeats it."""
    loggers = find_loggers(read_command(TrainCommand, config).logger)
    writable_output_dir(output_dir)
    benchmarks = choose_benchmarks(config.reproduce.benchmarks)
    precision = "bf16-mixed" if config.precision == "bf16" else "32-true"
    fabric = build_fabric(config.accelerator, precision)
    # A folder named by the time may have another name in each process.
    output_dir, config.cache_dir = fabric.broadcast((output_dir, config.cache_dir))
    check_shared(output_dir, Processes(fabric.global_rank, fabric.world_size))
    seed_everything(config.seed)
    asked = read_method(config)
    dataset = build_dataset(config.dataset)
    encoder = build_encoder(config.encoder, config.precision, asked.drop_path)
    settings = build_settings(config, len(dataset), fabric.world_size)
    identity = training_identity(config, settings, encoder, dataset, fabric.world_size)
    if fabric.is_global_zero:
        check_folder(output_dir, settings.resume, identity)
    report = TrainingReport(config, dataset, output_dir, fabric.device)
    # Built first: a setting that does not fit shows before the time of an evaluation has passed.
    parts = RunParts(config, encoder, dataset, settings, fabric, output_dir)
    method, samples = parts.build(asked)
    method = share_batch_norm(method, fabric)
    loader = build_loader(config, samples, fabric)
    before = None
    if fabric.is_global_zero:
        keep_settings(config, output_dir)
        before = report.evaluate(encoder, "before")

    def on_evaluate(method: Method, step: int) -> Mapping[str, float]:
        if step == settings.max_steps:  # measured below, with the final weights on disk
            return {}
        metrics = report.evaluate(method.encoder, f"step_{step}").metrics
        return {name: summary.mean for name, summary in metrics.items()}

    summary = train(
        method,
        loader,
        settings,
        output_dir,
        fabric=fabric,
        identity=identity,
        loggers=loggers,
        on_evaluate=on_evaluate,
        progress=training_bar,
    )
    logger.info("%d steps, %.2f images/s", summary.steps, summary.images_per_second)
    if summary.broken_samples:
        logger.warning("%d broken images were skipped", len(summary.broken_samples))
    if before is not None:
        student = method.encoder
        backbone = save_backbone(student, output_dir / BACKBONE_NAME, config.backbone_precision)
        student.weights = str(backbone)
        clusters = method.assignments()
        if clusters is not None:
            write_assignments(dataset.names, clusters, output_dir / "assignments.csv")
        report.write(before, report.evaluate(student, "after"), command)
        if benchmarks:
            report.benchmarks(student, benchmarks)
        record_run(output_dir, identity)


def share_batch_norm(method: Method, fabric: Fabric) -> Method:
    """Over several GPUs, batch norm takes its statistics from the global batch."""
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return method
    return cast(Method, nn.SyncBatchNorm.convert_sync_batchnorm(method))


def main() -> None:
    """Entry point of `leopart train`."""
    run_command("train", train_command, expected=(NonFiniteLoss, TrainingInterrupted))
