"""`leopart-eval`: measure an encoder on a data set by a protocol."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from leopart_kit.cli.build import (
    build_benchmark,
    build_dataset,
    build_encoder,
    build_prior,
    build_protocol,
    build_run_settings,
    build_train_split,
    plain,
)
from leopart_kit.cli.config import run_command
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation import Result, collect_samples, evaluate, iter_masks
from leopart_kit.masks import cluster_palette, write_masks
from leopart_kit.progress import rich_progress
from leopart_kit.report import (
    objects_section,
    print_result,
    writable_output_dir,
    write_overview,
    write_page,
    write_results,
)

logger = logging.getLogger(__name__)


def eval_segmentation(config: DictConfig, output_dir: Path) -> None:
    """Evaluate, then write results.json, report.html and masks/ into `output_dir`."""
    writable_output_dir(output_dir)
    check_outputs(config)
    # What is quick to build comes first: a mistyped setting shows before the data are listed.
    protocol = build_protocol(config.protocol)
    benchmark = build_benchmark(config.get("benchmark"))
    run = build_run_settings(config)
    dataset = build_dataset(config.dataset)
    encoder = build_encoder(config.encoder, config.precision)
    result = evaluate(
        encoder,
        dataset,
        protocol,
        run,
        train=build_train_split(config),
        prior=build_prior(config),
        settings=plain(config),
        benchmark=benchmark,
    )
    write_results(result, output_dir)
    if config.masks:
        masks, total = iter_masks(result, dataset), len(result.image_names)
        palette = mask_palette(result, dataset)
        write_masks(masks, total, output_dir / "masks", palette, track=rich_progress)
    samples = collect_samples(result, dataset, config.page_images)
    command = shlex.join(["leopart-eval", *HydraConfig.get().overrides.task])
    write_page(
        result,
        samples,
        output_dir,
        palette=dataset.palette,
        command=command,
        sections=[objects_section(result, dataset)] if result.objects is not None else (),
    )
    if samples:
        write_overview(samples, output_dir / "overview.png", dataset.palette)
    print_result(result, Console())
    logger.info("page: %s", output_dir / "report.html")


def check_outputs(config: DictConfig) -> None:
    """Raise `ValueError` for values of `masks` and `page_images` that say nothing."""
    if not isinstance(config.masks, bool):
        raise ValueError(f"masks must be true or false, got {config.masks!r}")
    if type(config.page_images) is not int or config.page_images < 0:
        raise ValueError(f"page_images must be 0 or more images, got {config.page_images!r}")


def mask_palette(result: Result, dataset: SegmentationDataset) -> np.ndarray:
    """The data set's colours where clusters have classes, else a colour for each cluster."""
    if result.matching is not None:
        return dataset.palette
    return cluster_palette(int(result.details["num_clusters"]))


def main() -> None:
    """Entry point of `leopart-eval`."""
    run_command("eval_segmentation", eval_segmentation)
