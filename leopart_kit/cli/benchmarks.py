"""Evaluations of eval/benchmark on one encoder, each beside the figure that it should reach."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig
from rich.table import Table

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import (
    build_benchmark,
    build_dataset,
    build_prior,
    build_protocol,
    build_train_split,
    plain,
)
from leopart_kit.cli.config import USER_ERRORS, config_folder, describe_error
from leopart_kit.evaluation import Result, RunSettings, evaluate
from leopart_kit.report import wording, write_results

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkRow:
    """One benchmark on one encoder: a `Result`, or why there is none.

    `expected` is the published mIoU in percent that the run should reach, where there is one.
    """

    name: str
    outcome: Result | str
    expected: float | None


def list_benchmarks() -> list[str]:
    """Names of all benchmarks, in order."""
    return sorted(path.stem for path in (config_folder("eval") / "benchmark").glob("*.yaml"))


def choose_benchmarks(wanted: str | Sequence[str]) -> list[str]:
    """`all`, or a list of names.

    Raises:
        ValueError: a benchmark that does not exist.
    """
    known = list_benchmarks()
    if wanted == "all":
        return known
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown benchmark {name!r}; there is all, {', '.join(known)}")
    return names


def compose_benchmark(name: str, roots: Mapping[str, str | None]) -> DictConfig:
    """The evaluation's configuration for one benchmark.

    Args:
        roots: folder of each data set, by its name.

    Raises:
        ValueError: the benchmark's data set has no folder; says which setting is missing.
    """
    config = compose("eval_segmentation", overrides=[f"benchmark={name}"])
    data = config.dataset.name
    if roots.get(data) is not None:
        config.dataset.root = roots[data]
    elif data in roots:
        raise ValueError(f"no data: set reproduce.roots.{data}=DIR")
    return config


def run_benchmarks(
    encoder: Encoder,
    names: Sequence[str],
    roots: Mapping[str, str | None],
    expected: Mapping[str, float],
    output_dir: Path,
    run: RunSettings,
) -> list[BenchmarkRow]:
    """Run one benchmark after another; a failing one becomes a row that says why.

    `results.json` of each goes to `output_dir/<name>`.
    """
    rows = []
    for name in names:
        try:
            config = compose_benchmark(name, roots)
            outcome: Result | str = evaluate(
                encoder,
                build_dataset(config.dataset),
                build_protocol(config.protocol),
                run,
                train=build_train_split(config),
                prior=build_prior(config),
                settings={key: plain(config[key]) for key in ("dataset", "protocol")},
                benchmark=build_benchmark(config.benchmark),
            )
            write_results(outcome, output_dir / name)
        except USER_ERRORS as error:
            outcome = describe_error(error)
            logger.warning("%s was not run: %s", name, outcome)
        rows.append(BenchmarkRow(name, outcome, expected.get(name)))
    return rows


def benchmark_table(rows: Sequence[BenchmarkRow]) -> Table:
    """mIoU of every benchmark beside what was expected; the log says why one was not run."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("benchmark")
    for title in ("mIoU", "expected", "difference"):
        table.add_column(title, justify="right")
    for row in rows:
        expected = wording.rate_or_nothing(row.expected)
        if isinstance(row.outcome, str):
            table.add_row(row.name, "not run", expected, wording.MISSING)
            continue
        miou = row.outcome.metrics["miou"]
        difference = wording.MISSING
        if row.expected is not None:
            difference = f"{miou.mean - row.expected:+.1f}"
        table.add_row(row.name, wording.rate_and_spread(miou), expected, difference)
    return table
