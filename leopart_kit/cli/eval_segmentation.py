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
    build_protocol,
    choose_device,
    choose_num_workers,
    plain,
)
from leopart_kit.cli.config import run_command
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation import Result, RunSettings, collect_samples, evaluate, iter_masks
from leopart_kit.masks import cluster_palette, write_masks
from leopart_kit.progress import rich_progress
from leopart_kit.report import print_result, writable_output_dir, write_page, write_results

logger = logging.getLogger(__name__)


def eval_segmentation(config: DictConfig, output_dir: Path) -> None:
    """Evaluate, then write results.json, report.html and masks/ into `output_dir`."""
    writable_output_dir(output_dir)
    device = choose_device(config.device)
    dataset = build_dataset(config.dataset)
    encoder = build_encoder(config.encoder, config.precision)
    protocol = build_protocol(config.protocol)
    run = RunSettings(
        cache_dir=Path(config.cache_dir),
        batch_size=config.batch_size,
        num_workers=choose_num_workers(config.num_workers, device),
        device=device,
        strict=config.strict,
        track=rich_progress,
    )
    benchmark = build_benchmark(config.get("benchmark"))
    result = evaluate(encoder, dataset, protocol, run, settings=plain(config), benchmark=benchmark)
    write_results(result, output_dir)
    if config.masks:
        masks, total = iter_masks(result, dataset), len(result.image_names)
        palette = mask_palette(result, dataset)
        write_masks(masks, total, output_dir / "masks", palette, track=rich_progress)
    samples = collect_samples(result, dataset, config.page_images)
    command = shlex.join(["leopart-eval", *HydraConfig.get().overrides.task])
    write_page(result, samples, output_dir, palette=dataset.palette, command=command)
    print_result(result, Console())
    logger.info("page: %s", output_dir / "report.html")


def mask_palette(result: Result, dataset: SegmentationDataset) -> np.ndarray:
    """The data set's colours where clusters have classes, else a colour for each cluster."""
    if result.matching is not None:
        return dataset.palette
    return cluster_palette(int(result.details["num_clusters"]))


def main() -> None:
    """Entry point of `leopart-eval`."""
    run_command("eval_segmentation", eval_segmentation)
