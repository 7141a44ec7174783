"""`leopart compare`: train many methods for minutes each, and measure what each learned.

Every method and seed is a run of its own: trained by its recipe within a time
(`leopart_kit.cli.timed_training` says how it is kept), then measured with the image-level protocols
of `leopart image`, as is the same network with the same random weights before training. A run
leaves its folder with `training.json` and `results.json`; where these stand for the same settings
and data, nothing is done again.

No method sees a class of the training images but CLIP, which needs texts: unless
`method.captions` names some, it gets "a photo of a CLASS", and the table says so.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markdown import Markdown

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.saved_backbone import BACKBONE_NAME, save_backbone
from leopart_kit.cli.build import build_dataset, build_encoder, plain
from leopart_kit.cli.cells import merge_settings
from leopart_kit.cli.commands import read_command, read_words
from leopart_kit.cli.config import compose_command, keep_settings, run_command
from leopart_kit.cli.isolated import reason_of_failure
from leopart_kit.cli.reuse import measurement_identity, same_results, training_identity
from leopart_kit.cli.run_parts import build_settings
from leopart_kit.cli.timed_training import train_within
from leopart_kit.evaluation import RunSettings
from leopart_kit.identity import Identity, file_sha256
from leopart_kit.image_level.cli.compare_settings import (
    CompareCommand,
    brings_images,
    check_words,
    chosen_methods,
    other_images,
    shared_images,
)
from leopart_kit.image_level.cli.eval_image_level import build_image_level, build_split
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.evaluation import evaluate_image_level
from leopart_kit.image_level.report import read_image_level, write_image_level
from leopart_kit.image_level.report.method_table import (
    TRAINING_NAME,
    MethodRun,
    TrainingFacts,
    build_method_table,
    method_table_markdown,
    read_training,
    write_method_table,
    write_training,
)
from leopart_kit.progress import rich_progress
from leopart_kit.report import writable_output_dir, write_between_marks
from leopart_kit.training import build_fabric
from leopart_kit.training.metrics_log import METRICS_NAME
from leopart_kit.whole_file import whole_file, write_whole_text

logger = logging.getLogger(__name__)


PART = CompareCommand


@dataclass(frozen=True)
class Comparison:
    """Settings that all runs share.

    Attributes:
        protocol: the node of `leopart image`.
        recorded: what the results name as their settings.
    """

    config: DictConfig
    train: ClassificationDataset
    test: ClassificationDataset
    protocol: DictConfig
    recorded: Mapping[str, Any]
    run: RunSettings
    output_dir: Path


def compare_methods(config: DictConfig, output_dir: Path) -> None:
    """Do every run that is not there yet, and write the table after every run."""
    command = read_command(CompareCommand, config)
    writable_output_dir(output_dir)
    methods = chosen_methods(command)
    check_words(command, methods)
    seeds = {name: (command.seeds_of or {}).get(name, command.seeds) for name in methods}
    comparison = build_comparison(config, output_dir)
    keep_settings(config, output_dir)
    runs: list[MethodRun] = []
    for name, overrides in methods.items():
        for seed in seeds[name]:
            logger.info("%s, seed %d", name, seed)
            runs.append(run_method(comparison, name, overrides, seed))
            text = write_all(config, runs, output_dir)
    Console().print(Markdown(text))
    logger.info("table: %s", output_dir / "methods.md")


def build_comparison(config: DictConfig, output_dir: Path) -> Comparison:
    """Both splits, the protocol and how to run.

    Raises:
        ValueError, FileNotFoundError: a split that is not there, or a setting that does not fit.
    """
    train, test = (build_split(config, key) for key in ("train_split", "test_split"))
    overrides = ["protocol.evaluations=[knn,linear]", "protocol.seeds=[0]"]
    words = [*overrides, *read_words(config.evaluation)]
    protocol = compose_command("eval_image_level", words).protocol
    measured = build_image_level(protocol)
    if not {"knn", "linear"} <= set(measured.evaluations):
        raise ValueError("the table needs both: set protocol.evaluations=[knn,linear]")
    layers = measured.linear.layers
    if layers != "all" and "output" not in layers:
        raise ValueError("the table needs the image vector: add output to protocol.linear.layers")
    device = build_fabric(config.accelerator).device
    run = RunSettings(batch_size=config.batch_size, device=str(device), track=rich_progress)
    splits = {key: config[key] for key in ("train_split", "test_split")}
    recorded = {"dataset": plain(config.dataset), **splits, "protocol": plain(protocol)}
    return Comparison(config, train, test, protocol, recorded, run, output_dir)


def run_method(comparison: Comparison, name: str, overrides: Sequence[str], seed: int) -> MethodRun:
    """Train and measure one method with one seed; a failure becomes the reason in its row."""
    folder = comparison.output_dir / name / f"seed_{seed}"
    folders: list[Path] = []

    def task() -> None:
        config, texts = training_config(comparison, overrides, seed)
        folder.mkdir(parents=True, exist_ok=True)
        start = build_encoder(config.encoder, "fp32")
        folders.append(measure_untrained(comparison, start))
        trained = train_once(comparison.config, config, start, texts, folder)
        measure_once(comparison, trained, folder)

    reason = reason_of_failure(task)
    if reason is not None:
        logger.warning("%s, seed %d failed: %s", name, seed, reason)
        return MethodRun(name, seed, reason=reason)
    return MethodRun(name, seed, folder, folders[0])


def training_config(
    comparison: Comparison, overrides: Sequence[str], seed: int
) -> tuple[DictConfig, str | None]:
    """The configuration of `leopart train` for one run, and what texts it learns from."""
    chosen = comparison.config
    config = compose_command("train", [*overrides, *read_words(chosen.training)])
    data = plain(config.dataset) if brings_images(overrides) else shared_images(chosen)
    # The weights at the start are drawn from the seed too, so that the spread covers them.
    encoder = {**plain(config.encoder), "seed": seed}
    values = {"dataset": data, "seed": seed, "encoder": encoder, "accelerator": chosen.accelerator}
    texts = None
    if OmegaConf.is_missing(config.method, "captions"):
        texts = 'class names, as "a photo of a CLASS", so it alone has seen classes'
        path = comparison.output_dir / "captions.csv"
        config.method.captions = str(write_class_captions(comparison.train, path))
    elif "captions" in config.method:
        texts = "captions of the images"
    return merge_settings(config, values), texts


def write_class_captions(dataset: ClassificationDataset, path: Path) -> Path:
    """A CSV with the name of its class as the caption of every image."""
    with (
        whole_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(("image", "caption"))
        for name, label in zip(dataset.names, dataset.labels, strict=True):
            rows.writerow((name, f"a photo of a {dataset.class_names[label].replace('_', ' ')}"))
    return path


def train_once(
    chosen: DictConfig, config: DictConfig, start: Encoder, texts: str | None, folder: Path
) -> Encoder:
    """The trained network, read from `folder` or trained into it from the network `start`."""
    recorded, dataset = plain(config), build_dataset(config.dataset)
    recipe = training_identity(config, build_settings(config, len(dataset), 1), start, dataset)
    identity = Identity.of(**recipe.values, minutes=chosen.minutes).sha256
    images = other_images(shared_images(chosen), plain(config.dataset))
    backbone = folder / BACKBONE_NAME
    before = same_training(folder, identity)
    if before is not None:
        logger.info("reused %s", backbone)
        if before.images != images:  # the other methods had others then
            write_training(replace(before, images=images), folder)
    else:
        (folder / TRAINING_NAME).unlink(missing_ok=True)  # it says that the others are of one run
        done = train_within(config, 60 * chosen.minutes, folder)
        save_backbone(done.encoder, backbone)
        facts = TrainingFacts(
            encoder=done.encoder.name,
            num_parameters=sum(p.numel() for p in done.encoder.parameters()),
            steps=done.steps,
            planned_steps=done.planned_steps,
            recipe_steps=done.recipe_steps,
            seconds=done.seconds,
            minutes_allowed=chosen.minutes,
            threads=torch.get_num_threads(),
            device=next(done.encoder.parameters()).device.type,
            texts=texts,
            settings=recorded,
            identity=identity,
            backbone_sha256=file_sha256(backbone),
            images=images,
        )
        write_training(facts, folder)
    node = {**plain(config.encoder), "weights": str(backbone)}
    return build_encoder(OmegaConf.create(node), "fp32")


def same_training(folder: Path, identity: str) -> TrainingFacts | None:
    """The facts in a folder, if a network was trained so and all of it is still there."""
    backbone = folder / BACKBONE_NAME
    try:
        facts = read_training(folder)
        there = (folder / METRICS_NAME).is_file() and file_sha256(backbone) == facts.backbone_sha256
    except (OSError, ValueError):
        return None
    return facts if there and facts.identity == identity else None


def measure_untrained(comparison: Comparison, encoder: Encoder) -> Path:
    """Measure a network before training, once for all methods that start from it."""
    name = f"{encoder.name}_{encoder.fingerprint()[:12]}"
    folder = comparison.output_dir / "untrained" / name
    measure_once(comparison, encoder, folder)
    return folder


def measure_once(comparison: Comparison, encoder: Encoder, folder: Path) -> None:
    """Write the results of an encoder into `folder`, unless the same lie there."""
    data = [comparison.test, comparison.train]
    identity = measurement_identity(comparison.recorded, encoder, data)
    if same_results(read_image_level, folder, identity, data) is not None:
        logger.info("reused %s", folder)
        return
    result = evaluate_image_level(
        encoder,
        comparison.train,
        comparison.test,
        build_image_level(comparison.protocol),
        comparison.run,
        recorded={**comparison.recorded, "identity": identity.sha256},
    )
    write_image_level(result, folder)


def write_all(config: DictConfig, runs: Sequence[MethodRun], output_dir: Path) -> str:
    """Write the table in every form; returns its Markdown."""
    table = build_method_table(runs)
    text = method_table_markdown(table)
    write_method_table(table, output_dir / "methods.json")
    write_whole_text(output_dir / "methods.md", text)
    if config.json is not None:
        write_method_table(table, Path(config.json).expanduser())
    if config.write_to is not None:
        write_between_marks(text, Path(config.write_to).expanduser(), "methods")
    return text


def main() -> None:
    """Entry point of `leopart compare`."""
    run_command("compare_methods", compare_methods)
