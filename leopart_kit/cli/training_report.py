"""Report of a training run: the encoder before and after, on one page."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from rich.console import Console

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset, build_protocol, plain
from leopart_kit.cli.cells import (
    benchmark_table,
    compose_benchmark,
    merge_settings,
    run_encoder,
)
from leopart_kit.data import SegmentationDataset
from leopart_kit.evaluation import (
    Result,
    RunSettings,
    collect_samples,
    collect_tokens,
    evaluate,
    view_of,
)
from leopart_kit.evaluation.protocols.overclustering import Overclustering
from leopart_kit.processes import ALONE, Processes, shared_scratch_folder
from leopart_kit.progress import quiet, rich_progress
from leopart_kit.report import (
    explore_result,
    training_opening,
    training_section,
    write_page,
    write_results,
)
from leopart_kit.report.console import print_change
from leopart_kit.report.training_section import EarlierRound
from leopart_kit.training.metrics_log import METRICS_NAME, read_metrics

# Where nothing says how many clusters the pictures of unlabelled images should have.
CLUSTERS_TO_SHOW, MOST_CLUSTERS_TO_SHOW = 20, 500

logger = logging.getLogger(__name__)


class Told(NamedTuple):
    """Facts of a training that its page tells beside what was measured.

    command: that repeats it.
    encoder: the words by which other commands choose what was trained.
    rounds: folder and method of every training that this one goes on from.
    """

    command: str
    encoder: str
    rounds: Mapping[Path, str]


class TrainingReport:
    """Evaluates an encoder while it is trained, and writes the page at the end.

    The labelled set of `evaluation.dataset` is used, or else the training images themselves: then
    the page shows clusters and no scores. Every process calls its methods and takes its share; the
    first one writes. An error of one is raised in all.
    """

    def __init__(
        self,
        config: DictConfig,
        training_set: SegmentationDataset,
        output_dir: Path,
        device: torch.device,
        processes: Processes = ALONE,
    ) -> None:
        self.output_dir = output_dir
        self.device = device
        self.config = config
        self.processes = processes
        labelled = config.evaluation.get("dataset")
        if labelled is not None:
            self.dataset = processes.after_first(lambda: build_dataset(labelled))
        else:
            self.dataset = training_set.spread(config.evaluation.unlabelled_images)
        protocol = build_protocol(config.evaluation.protocol)
        if self.dataset.num_classes == 0 and isinstance(protocol, Overclustering):
            prototypes = config.method.get("num_prototypes", CLUSTERS_TO_SHOW)
            number = protocol.num_clusters or min(prototypes, MOST_CLUSTERS_TO_SHOW)
            protocol = replace(protocol, num_clusters=number)
        self.protocol = protocol
        self.dataset = view_of(protocol, self.dataset)
        self._tokens: dict[str, list[np.ndarray]] = {}

    def evaluate(self, encoder: Encoder, name: str) -> Result:
        """Measure the encoder as it is; results go to `evaluation/<name>`."""
        return self.processes.together(lambda: self._evaluate(encoder, name))

    def _evaluate(self, encoder: Encoder, name: str) -> Result:
        was_training = encoder.training
        with self._passing_features() as cache_dir:
            run = self._run_settings(cache_dir)
            settings = plain(self.config)
            result = evaluate(encoder, self.dataset, self.protocol, run, settings=settings)
        encoder.train(was_training)  # evaluating has switched it to eval mode
        if self.processes.first:
            write_results(result, self.output_dir / "evaluation" / name)
            if name in ("before", "after"):
                self._tokens[name] = self._picture_tokens(encoder, result)
        return result

    def _passing_features(self) -> AbstractContextManager[Path | None]:
        """Features of a passing state are of no use to anybody later; several processes share them
        on the disk that all see."""
        if self.processes.count == 1:
            return nullcontext()
        return shared_scratch_folder(self.output_dir / "features", self.processes)

    def _run_settings(self, cache_dir: Path | None) -> RunSettings:
        own = self.config.evaluation
        return RunSettings(
            batch_size=own.batch_size,
            num_workers=own.num_workers,
            device=str(self.device),
            cache_dir=cache_dir,
            track=rich_progress if self.processes.first else quiet,
            processes=self.processes,
        )

    def _picture_tokens(self, encoder: Encoder, result: Result) -> list[np.ndarray]:
        """Tokens of the pictures, since the encoder goes on to change."""
        resolution = getattr(self.protocol, "resolution", None)
        if resolution is None:
            return []
        samples = collect_samples(result, self.dataset, self.config.evaluation.page_images)
        return collect_tokens(encoder, samples, resolution, self.device)

    def benchmarks(self, encoder: Encoder, names: Sequence[str]) -> None:
        """Run evaluations of eval/benchmark and print each beside its expected figure."""
        reproduce = self.config.reproduce
        # They share an encoder and so its features, benchmark after benchmark.
        run = self._run_settings(Path(self.config.cache_dir))
        settings = {
            "encoder": {"name": encoder.name, "weights": encoder.weights},
            "precision": self.config.precision,
            "masks": False,
        }

        def prepare(overrides: Sequence[str]) -> DictConfig:
            config = compose_benchmark(overrides, plain(reproduce.roots), "reproduce.roots")
            return merge_settings(config, settings)

        cells = run_encoder(
            "the trained encoder",
            lambda: encoder,
            {name: [f"benchmark={name}"] for name in names},
            prepare,
            lambda benchmark: self.output_dir / "evaluation" / benchmark,
            run,
        )
        if self.processes.first:
            Console().print(benchmark_table(cells, plain(reproduce.expected)))

    def write(self, before: Result, after: Result, told: Told) -> None:
        """Print what the training changed and write `report.html`."""
        self.processes.together(lambda: self._write(before, after, told))

    def _write(self, before: Result, after: Result, told: Told) -> None:
        if not self.processes.first:
            return
        self._print(before, after)  # at once: pictures of a page take seconds
        number = self.config.evaluation.page_images
        pictures_before, pictures = (
            collect_samples(result, self.dataset, number) for result in (before, after)
        )
        seen_before = (pictures_before, self._tokens["before"])
        metrics = read_metrics(self.output_dir / METRICS_NAME)
        logs = {folder / METRICS_NAME: method for folder, method in told.rounds.items()}
        earlier = [  # somebody may have made room since a round ended
            EarlierRound(method, read_metrics(log) if log.is_file() else [])
            for log, method in logs.items()
        ]
        write_page(
            after,
            pictures,
            self.output_dir,
            samples_before=pictures_before,
            command=told.command,
            opening=training_opening(before, after, earlier),
            sections=[
                training_section(metrics, before, after, earlier, told.encoder),
                *explore_result(after, pictures, self._tokens["after"], seen_before),
            ],
        )
        logger.info("page: %s", self.output_dir / "report.html")
        logger.info("trained: %s", told.encoder)

    def _print(self, before: Result, after: Result) -> None:
        images = f"images of {after.dataset.name} {after.dataset.split}"
        if self.config.evaluation.get("dataset") is None:
            images += ", those of the training itself: no result to report"
        print_change(before, after, Console(), images)
        for name, summary in after.metrics.items():
            logger.info("%s: %.1f → %.1f", name, before.metrics[name].mean, summary.mean)
