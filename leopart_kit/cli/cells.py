"""Encoders on benchmarks: one evaluation after another, each a folder of results or a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from rich.table import Table

from leopart_kit.backbones import Encoder
from leopart_kit.cli.build import build_dataset, build_prior, build_train_split, plain
from leopart_kit.cli.config import compose_command
from leopart_kit.cli.eval_segmentation import lacks_outputs, measure_encoder, write_outputs
from leopart_kit.cli.isolated import reason_of_failure
from leopart_kit.cli.repeating import command_for
from leopart_kit.cli.reuse import measurement_identity, same_results
from leopart_kit.evaluation import RunSettings
from leopart_kit.parts import config_folder
from leopart_kit.report import Cell, read_per_image, read_results, wording
from leopart_kit.report.results_json import PER_IMAGE_NAME

logger = logging.getLogger(__name__)

ROOTS = ("voc", "coco_stuff", "cityscapes", "camvid", "ade20k")
"""Data sets of the benchmarks whose folders a user names."""


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


def compose_benchmark(
    overrides: Sequence[str], roots: Mapping[str, str | None], setting: str
) -> DictConfig:
    """The evaluation's configuration for one benchmark.

    Args:
        overrides: as on the command line of `leopart eval`.
        roots: folder of each data set, by its name; `setting` is where the user gives them.

    Raises:
        ValueError: the benchmark's data set has no folder; says which setting is missing.
    """
    config = compose_command("eval_segmentation", overrides)
    data = config.dataset.name
    if roots.get(data) is not None:
        config.dataset.root = roots[data]
    elif OmegaConf.is_missing(config.dataset, "root"):
        raise ValueError(f"no data: set {setting}.{data}=DIR")
    return config


def run_cell(
    config: DictConfig, encoder: Encoder, folder: Path, run: RunSettings, words: Sequence[str]
) -> None:
    """Evaluate an encoder into `folder`, unless the very same was done on the same data.

    Args:
        words: what the configuration was first composed from.
    """
    dataset, train, prior = (
        build_dataset(config.dataset),
        build_train_split(config),
        build_prior(config),
    )
    data = [dataset] if train is None else [dataset, train]
    identity = measurement_identity(plain(config), encoder, data, prior)
    merge_settings(config, {"output_dir": str(folder), "identity": identity.sha256})

    def is_done() -> bool:
        same = same_results(read_whole_results, folder, identity, data) is not None
        return same and not lacks_outputs(config, folder)

    if run.processes.once(is_done):
        logger.info("reused %s", folder)
        return
    command = command_for("leopart eval", "eval_segmentation", words, config)
    result, dataset = measure_encoder(config, encoder, dataset, train, prior, run)
    if run.processes.first:
        folder.mkdir(parents=True, exist_ok=True)
        write_outputs(config, result, dataset, folder, command, encoder)
    run.processes.wait()


def read_whole_results(folder: Path) -> dict[str, Any]:
    """`results.json`, once the counts beside it can be read too; raises as the two readers."""
    document = read_results(folder)
    if (folder / PER_IMAGE_NAME).exists():
        read_per_image(folder)
    return document


def run_encoder(
    name: str,
    build: Callable[[], Encoder],
    benchmarks: Mapping[str, Sequence[str]],
    prepare: Callable[[Sequence[str]], DictConfig],
    results: Callable[[str], Path],
    run: RunSettings,
) -> list[Cell]:
    """One encoder on every benchmark; a failing one becomes a cell that says why.

    Args:
        build: loads the encoder; if it fails, every cell says so.
        benchmarks: by name, what to override in the configuration of `leopart eval`.
        prepare: makes the configuration of one benchmark.
        results: the folder of a benchmark.
    """

    loaded: list[Encoder] = []
    failure = reason_of_failure(lambda: loaded.append(build()), run.processes)
    cells = []
    for benchmark, overrides in benchmarks.items():
        cell_folder = results(benchmark)

        def evaluate_one(
            overrides: Sequence[str] = overrides, cell_folder: Path = cell_folder
        ) -> None:
            config = prepare(overrides)
            run_cell(config, loaded[0], cell_folder, run, overrides)

        logger.info("%s on %s", name, benchmark)
        reason = failure or reason_of_failure(evaluate_one, run.processes)
        if reason is not None:
            logger.warning("%s was not run on %s: %s", benchmark, name, reason)
        found = None if reason is not None else cell_folder
        cells.append(Cell(name, benchmark, found, reason))
    return cells


def merge_settings(config: DictConfig, values: Mapping[str, Any]) -> DictConfig:
    """The configuration with some of its settings replaced."""
    with open_dict(config):
        for key, value in values.items():
            config[key] = value
    return config


def benchmark_table(cells: Sequence[Cell], expected: Mapping[str, float]) -> Table:
    """mIoU of every benchmark beside what was expected; the log says why one was not run."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("benchmark")
    for title in ("mIoU", "expected", "difference"):
        table.add_column(title, justify="right")
    for cell in cells:
        wanted = expected.get(cell.benchmark)
        shown = wording.rate(wanted)
        if cell.folder is None:
            table.add_row(cell.benchmark, "not run", shown, wording.MISSING)
            continue
        miou = read_results(cell.folder)["metrics"]["miou"]
        difference = wording.MISSING if wanted is None else wording.signed(miou["mean"] - wanted)
        spread = wording.mean_and_spread(miou["mean"], miou["std"], len(miou["per_seed"]))
        table.add_row(cell.benchmark, spread, shown, difference)
    return table
