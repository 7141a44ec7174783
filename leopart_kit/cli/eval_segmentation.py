"""`leopart eval`: measure an encoder on a data set by a protocol."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import (
    build_dataset,
    build_encoder,
    build_predictions,
    build_prior,
    build_protocol,
    build_run_settings,
    build_train_split,
    plain,
)
from leopart_kit.cli.commands import Precision, read_command
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.declared import PACKAGES
from leopart_kit.cli.published import published_beside
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.data import SegmentationDataset
from leopart_kit.data.palettes import class_palette, voc_colormap
from leopart_kit.evaluation import (
    Benchmark,
    Result,
    RunSettings,
    collect_samples,
    collect_tokens,
    evaluate,
    iter_masks,
    save_head,
    view_of,
)
from leopart_kit.evaluation.protocols.predictions.evaluate import evaluate_predictions
from leopart_kit.evaluation.result import Sample
from leopart_kit.evaluation.task import Auditing, choose_device
from leopart_kit.masks import cluster_palette, write_masks
from leopart_kit.processes import Processes, check_shared, join_processes
from leopart_kit.progress import rich_progress
from leopart_kit.report import (
    explore_result,
    objects_section,
    print_result,
    writable_output_dir,
    write_overview,
    write_page,
    write_pictures,
    write_results,
)
from leopart_kit.report.page import PAGE_NAME
from leopart_kit.report.results_json import RESULTS_NAME
from leopart_kit.settings import Group, Text, Whole, settings
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)

OVERVIEW_NAME, MASKS_NAME = "overview.png", "masks"
CLASSES_NAME = "classes.txt"  # of masks/, a name a line, as dataset=folder reads it


@settings
class EvalCommand(Auditing):
    """Measure the patch tokens of an encoder on a data set by a protocol."""

    _: KW_ONLY
    dataset: Annotated[Any, Group(PACKAGES["dataset"])]
    encoder: Annotated[EncoderSettings, Group()]
    protocol: Annotated[Any, Group(PACKAGES["protocol"])]
    predictions: Annotated[dict[str, Any] | None, Group()] = None
    benchmark: Annotated[Benchmark | None, Group()] = None
    output_dir: Text = "outputs/eval/${now:%Y-%m-%d_%H-%M-%S}"
    """Folder of everything that the run writes."""
    cache_dir: Text = "${output_dir}/features"
    """Folder of extracted features; share one between runs to extract an encoder's once."""
    precision: Precision = "fp32"
    """Of the encoder; bf16 by autocast."""
    masks: bool = True
    """Write masks/ for all images."""
    page_images: Whole = 12
    """Images shown on the page."""


PART = EvalCommand


def eval_segmentation(config: DictConfig, output_dir: Path) -> None:
    """Evaluate, then write results.json, report.html and masks/ into `output_dir`."""
    read_command(EvalCommand, config)  # a mistyped setting shows before anything is loaded
    processes = join_processes()
    processes.together(lambda: _eval_by_all(config, output_dir, processes))


def _eval_by_all(config: DictConfig, output_dir: Path, processes: Processes) -> None:
    # A folder named by the time may have another name in each process.
    output_dir, config.cache_dir = processes.once(lambda: (output_dir, config.cache_dir))
    if not processes.first:
        logging.getLogger().setLevel(logging.WARNING)
    writable_output_dir(output_dir)
    check_shared(output_dir, processes)
    run = build_run_settings(config, processes)
    if processes.first:
        keep_settings(config, output_dir)
    if config.protocol.name == "predictions":
        encoder, (result, dataset) = None, measure_predictions(config, run)
    else:
        encoder = build_encoder(config.encoder, config.precision)
        data = processes.after_first(
            lambda: (build_dataset(config.dataset), build_train_split(config))
        )
        result, dataset = measure_encoder(config, encoder, *data, build_prior(config), run)
    if processes.first:
        command = repeated_by("leopart eval", "eval_segmentation", config)
        print_result(result, Console())  # at once: pictures of a page take seconds
        write_outputs(config, result, dataset, output_dir, command, encoder)
        logger.info("page: %s", output_dir / "report.html")


def write_outputs(
    config: DictConfig,
    result: Result,
    dataset: SegmentationDataset,
    output_dir: Path,
    command: str,
    encoder: Encoder | None,
) -> None:
    """Everything a run leaves on disk; `command` repeats it, `encoder` is what was measured.

    `results.json` comes last: where it is, everything is, however the run ended.
    """
    (output_dir / RESULTS_NAME).unlink(missing_ok=True)  # of an earlier run, no longer true
    names = result.dataset.class_names
    for seed, head in result.heads.items():
        save_head(head, output_dir / f"head_seed{seed}.safetensors", names)
    if config.masks:
        masks, total = iter_masks(result, dataset), len(result.image_names)
        palette = mask_palette(result, dataset)
        write_masks(masks, total, output_dir / MASKS_NAME, palette, track=rich_progress)
        if result.class_maps is not None or result.matching is not None:
            write_whole_text(output_dir / CLASSES_NAME, "".join(f"{name}\n" for name in names))
    samples = collect_samples(result, dataset, config.page_images)
    write_page(
        result,
        samples,
        output_dir,
        command=command,
        sections=[
            *explore_result(result, samples, picture_tokens(config, samples, encoder)),
            *([objects_section(result, dataset)] if result.objects is not None else ()),
        ],
    )
    if samples:
        write_overview(samples, output_dir / OVERVIEW_NAME, class_palette(names))  # as the page
        write_pictures(samples, names, output_dir)
    write_results(result, output_dir)


def picture_tokens(
    config: DictConfig, samples: Sequence[Sample], encoder: Encoder | None
) -> list[np.ndarray]:
    """Tokens of the pictures as the protocol saw them; none where it looked at no tokens."""
    resolution = getattr(build_protocol(config.protocol), "resolution", None)
    if encoder is None or resolution is None:
        return []
    return collect_tokens(encoder, samples, resolution, choose_device(config.device))


def lacks_outputs(config: DictConfig, folder: Path) -> bool:
    """True if a run with these settings would leave more than lies in a folder."""
    pictures = [OVERVIEW_NAME] if config.page_images else []
    masks = [MASKS_NAME] if config.masks else []
    return not all((folder / name).exists() for name in (PAGE_NAME, *pictures, *masks))


def measure_encoder(
    config: DictConfig,
    encoder: Encoder,
    dataset: SegmentationDataset,
    train: SegmentationDataset | None,
    prior: Encoder | None,
    run: RunSettings,
) -> tuple[Result, SegmentationDataset]:
    """Evaluate an encoder on the data that `config` names; returns what the protocol looked at."""
    protocol = build_protocol(config.protocol)
    benchmark = published_beside(config)
    dataset = view_of(protocol, dataset)
    result = evaluate(
        encoder,
        dataset,
        protocol,
        run,
        train=train,
        prior=prior,
        settings=plain(config),
        benchmark=benchmark,
    )
    return result, dataset


def measure_predictions(config: DictConfig, run: RunSettings) -> tuple[Result, SegmentationDataset]:
    """Score a folder of predictions; otherwise as `measure_encoder`."""
    folder, protocol = build_predictions(config.predictions)
    benchmark = published_beside(config)
    dataset = view_of(protocol, build_dataset(config.dataset))
    settings = {key: value for key, value in plain(config).items() if key != "encoder"}
    result = evaluate_predictions(
        folder, dataset, protocol, run, settings=settings, benchmark=benchmark
    )
    return result, dataset


def mask_palette(result: Result, dataset: SegmentationDataset) -> np.ndarray:
    """The data set's colours where clusters have classes, else a colour for each cluster."""
    if result.matching is not None or result.class_maps is not None:
        return dataset.palette if dataset.num_classes else voc_colormap()  # a folder's own
    return cluster_palette(int(result.details["num_clusters"]))


def main() -> None:
    """Entry point of `leopart eval`."""
    run_command("eval_segmentation", eval_segmentation)
