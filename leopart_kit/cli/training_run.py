"""One training with all it leaves on disk: backbone, evaluations, page, identity."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from lightning_fabric import Fabric
from omegaconf import DictConfig
from torch import nn

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.saved_backbone import BACKBONE_NAME, SavedPrecision, save_backbone
from leopart_kit.cli.cells import choose_benchmarks, merge_settings
from leopart_kit.cli.commands import read_command
from leopart_kit.cli.config import keep_settings
from leopart_kit.cli.reuse import training_identity
from leopart_kit.cli.run_parts import RunParts, build_loader, fabric_of, read_method
from leopart_kit.cli.train_settings import TrainCommand
from leopart_kit.cli.trained_encoder import build_student, words_of_trained
from leopart_kit.cli.training_report import Told, TrainingReport
from leopart_kit.data import SegmentationDataset
from leopart_kit.identity import Identity
from leopart_kit.image_level.data.assignments import write_assignments
from leopart_kit.methods import Method
from leopart_kit.processes import Processes, check_shared
from leopart_kit.report import writable_output_dir
from leopart_kit.training import (
    TrainingLoader,
    TrainingSettings,
    check_folder,
    find_loggers,
    processes_of,
    record_run,
    seed_everything,
    train,
    training_bar,
)
from leopart_kit.training.loggers import MakeLogger
from leopart_kit.training.loop import Evaluate
from leopart_kit.training.progress_bar import quiet_progress

logger = logging.getLogger(__name__)


class WholeTraining(NamedTuple):
    """A training in rounds as it was asked for; folder and method of each round but the last."""

    config: DictConfig
    earlier: Mapping[Path, str]


def run_training(
    config: DictConfig, output_dir: Path, command: str, whole: WholeTraining | None = None
) -> None:
    """One training with all it leaves on disk, `identity.json` last.

    Args:
        command: that repeats it, for the page.
        whole: where this is the last of several rounds, all of which the page shows.
    """
    benchmarks = choose_benchmarks(config.reproduce.benchmarks)
    run = prepare_training(config, output_dir)
    asked = config if whole is None else whole.config
    recorded = merge_settings(config.copy(), {"rounds": asked.rounds})
    report = TrainingReport(recorded, run.dataset, run.output_dir, run.fabric.device, run.processes)
    run.processes.once(lambda: keep_settings(asked, run.output_dir))
    # In the precision of this round, as what comes after it.
    first = merge_settings(config.copy(), {"encoder": asked.encoder})
    start = run.encoder if whole is None else build_student(first)
    before = report.evaluate(start, "before")

    def on_evaluate(method: Method, step: int) -> Mapping[str, float]:
        if step == run.settings.max_steps:  # measured below, with the final weights on disk
            return {}
        metrics = report.evaluate(method.encoder, f"step_{step}").metrics
        return {name: summary.mean for name, summary in metrics.items()}

    run.train(on_evaluate)
    student = run.save(config.backbone_precision)
    after = report.evaluate(student, "after")
    if after.encoder.sha256 == before.encoder.sha256:
        logger.warning("the training has left the encoder as it was: look at the learning rates")
    words = shlex.join(words_of_trained(config, student.weights))
    told = Told(command, words, {} if whole is None else whole.earlier)
    report.write(before, after, told)
    if benchmarks:
        report.benchmarks(student, benchmarks)
    run.record()


def run_early_round(config: DictConfig, output_dir: Path) -> None:
    """A training that another one goes on from: it is neither measured nor shown."""
    run = prepare_training(config, output_dir)
    run.processes.once(lambda: keep_settings(config, run.output_dir))
    run.train()
    run.save("fp32")
    run.record()  # the next round reads what the first process has written


@dataclass(frozen=True)
class Training:
    """All that a training needs, built and checked; nothing of it has run yet."""

    fabric: Fabric
    processes: Processes
    output_dir: Path
    dataset: SegmentationDataset
    encoder: Encoder
    settings: TrainingSettings
    identity: Identity
    method: Method
    loader: TrainingLoader
    loggers: Sequence[MakeLogger]

    def train(self, on_evaluate: Evaluate | None = None) -> None:
        """Every step, from the newest checkpoint if there is one."""
        summary = train(
            self.method,
            self.loader,
            self.settings,
            self.output_dir,
            fabric=self.fabric,
            identity=self.identity,
            loggers=self.loggers,
            on_evaluate=on_evaluate,
            progress=training_bar if self.processes.first else quiet_progress,
        )
        rate = summary.images_per_second  # NaN where all steps were done before
        logger.info(
            "%d steps%s", summary.steps, "" if math.isnan(rate) else f", {rate:.2f} images/s"
        )
        if summary.broken_samples:
            logger.warning("%d broken images were skipped", len(summary.broken_samples))

    def save(self, precision: SavedPrecision) -> Encoder:
        """The trained encoder; its backbone and the clusters of the images are files now."""
        student = self.method.encoder

        def write() -> str:
            path = save_backbone(student, self.output_dir / BACKBONE_NAME, precision)
            clusters = self.method.assignments()
            if clusters is not None:
                write_assignments(self.dataset.names, clusters, self.output_dir / "assignments.csv")
            return str(path)

        student.weights = self.processes.once(write)
        return student

    def record(self) -> None:
        """Say that all is there, for every process to go on from."""
        self.processes.once(lambda: record_run(self.output_dir, self.identity))


def prepare_training(config: DictConfig, output_dir: Path) -> Training:
    """Build and check a training.

    Raises:
        ValueError: a setting that does not fit, or a folder that holds another training.
    """
    loggers = find_loggers(read_command(TrainCommand, config).logger)
    writable_output_dir(output_dir)
    fabric = fabric_of(config)
    # A folder named by the time may have another name in each process.
    output_dir, config.cache_dir = fabric.broadcast((output_dir, config.cache_dir))
    processes = processes_of(fabric)
    if not processes.first:
        logging.getLogger().setLevel(logging.WARNING)
    check_shared(output_dir, processes)
    seed_everything(config.seed)
    asked = read_method(config)
    parts = RunParts.of(config, build_student(config), fabric, output_dir)
    dataset, encoder, settings = parts.dataset, parts.encoder, parts.settings
    identity = training_identity(config, settings, encoder, dataset, fabric.world_size)
    processes.once(lambda: check_folder(output_dir, settings.resume, identity, processes.count))
    method, samples = parts.build(asked)
    method = share_batch_norm(method, fabric)
    loader = build_loader(config, samples, fabric)
    return Training(
        fabric, processes, output_dir, dataset, encoder, settings, identity, method, loader, loggers
    )


def share_batch_norm(method: Method, fabric: Fabric) -> Method:
    """Over several GPUs, batch norm takes its statistics from the global batch."""
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return method
    return cast(Method, nn.SyncBatchNorm.convert_sync_batchnorm(method))
