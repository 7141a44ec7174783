"""`leopart-benchmark`: many encoders on many benchmarks, and a leaderboard of them."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markdown import Markdown

from leopart_kit.cli.benchmarks import (
    choose_benchmarks,
    compose_benchmark,
    merge_settings,
    run_encoder,
)
from leopart_kit.cli.build import build_encoder, build_run_settings, plain
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.processes import join_processes
from leopart_kit.report import (
    Cell,
    build_leaderboard,
    leaderboard_markdown,
    leaderboard_overview,
    writable_output_dir,
    write_between_marks,
    write_leaderboard,
    write_leaderboard_page,
)
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)

_PASSED_ON = (
    "cache_dir", "device", "precision", "batch_size", "num_workers", "strict", "masks",
    "page_images",
)  # fmt: skip


def benchmark(config: DictConfig, output_dir: Path) -> None:
    """Run every cell that is not there yet, and write the leaderboard after every encoder."""
    processes = join_processes()
    if not processes.first:
        logging.getLogger().setLevel(logging.WARNING)
    writable_output_dir(output_dir)
    run = build_run_settings(config, processes)
    encoders, benchmarks = chosen_encoders(config), chosen_benchmarks(config)
    if processes.first:
        keep_settings(config, output_dir)
    passed_on = {key: config[key] for key in _PASSED_ON}
    cells: list[Cell] = included(config)
    for name, entry in encoders.items():

        def prepare(overrides: Sequence[str], entry: Entry = entry) -> DictConfig:
            composed = compose_benchmark(overrides, plain(config.roots), "roots")
            return merge_settings(
                composed, {**passed_on, "encoder": entry.node, "precision": entry.precision}
            )

        cells += run_encoder(
            name,
            lambda entry=entry: build_encoder(entry.node, entry.precision),
            {benchmark: words for benchmark, words in benchmarks.items() if entry.runs(benchmark)},
            prepare,
            output_dir / name,
            run,
            entry.published_as,
        )
        if processes.first:
            text = write_all(config, cells, output_dir)
    processes.wait()
    if processes.first:
        Console().print(Markdown(text))
        logger.info("leaderboard: %s", output_dir / "leaderboard.html")


@dataclass(frozen=True)
class Entry:
    """An encoder to measure.

    Attributes:
        node: its configuration, as of the group `encoder`.
        precision: fp32 or bf16; that of all encoders unless it has its own.
        published_as: method and encoder of the published row that it should reach.
        only: patterns of the benchmarks it runs on.
    """

    node: DictConfig
    precision: str
    published_as: tuple[str, str] | None
    only: tuple[str, ...]

    def runs(self, benchmark: str) -> bool:
        """Whether the encoder is to be measured on this benchmark."""
        return any(fnmatch(benchmark, pattern) for pattern in self.only)


def chosen_encoders(config: DictConfig) -> Mapping[str, Entry]:
    """The encoders to measure, by name.

    Raises:
        ValueError: none is named, or `published_as` is no pair.
    """
    if not config.encoders:
        raise ValueError(
            "no encoder to measure: set 'encoders={mine: {name: dino_vits16, weights: FILE}}'"
        )
    found = {}
    for name, node in plain(config.encoders).items():
        options = {"name": "custom"} if "factory" in (node or {}) else {"weights": "auto"}
        options |= node or {}
        published_as, only = options.pop("published_as", None), options.pop("only", "*")
        precision = options.pop("precision", config.precision)
        if published_as is not None and len(published_as) != 2:
            raise ValueError(f"encoders.{name}.published_as must be [method, encoder]")
        found[name] = Entry(
            OmegaConf.create(options),
            precision,
            None if published_as is None else (published_as[0], published_as[1]),
            (only,) if isinstance(only, str) else tuple(only),
        )
    return found


def chosen_benchmarks(config: DictConfig) -> Mapping[str, Sequence[str]]:
    """What to override in `leopart-eval` for every benchmark, by its name.

    Raises:
        ValueError: none is named, or one that does not exist.
    """
    if not config.benchmarks:
        raise ValueError("no benchmark to run: set suite=NAME or 'benchmarks={voc_k500: null}'")
    found, for_all = {}, _words(plain(config)["overrides"])
    for name, overrides in plain(config.benchmarks).items():
        if overrides is None:
            choose_benchmarks(name)
            overrides = [f"benchmark={name}"]
        found[name] = [*_words(overrides), *for_all]
    return found


def _words(overrides: str | Sequence[str]) -> list[str]:
    """Overrides as a list, or as one text like on a command line."""
    return shlex.split(overrides) if isinstance(overrides, str) else list(overrides)


def included(config: DictConfig) -> list[Cell]:
    """Results that were made elsewhere, such as those of `protocol=predictions`."""
    return [
        Cell(name, benchmark, Path(folder).expanduser())
        for benchmark, folders in (plain(config)["include"] or {}).items()
        for name, folder in folders.items()
    ]


def write_all(config: DictConfig, cells: Sequence[Cell], output_dir: Path) -> str:
    """Write the leaderboard in every form; returns its Markdown."""
    board = build_leaderboard(cells)
    text = leaderboard_markdown(board)
    write_leaderboard(board, output_dir / "leaderboard.json")
    write_whole_text(output_dir / "leaderboard.md", text)
    write_leaderboard_page(board, output_dir / "leaderboard.html", str(config.title))
    if config.publish is not None:
        place = Path(config.publish).expanduser()
        write_leaderboard(board, place.with_suffix(".json"))
        write_whole_text(place.with_suffix(".md"), text)
    if config.write_to is not None:
        write_between_marks(leaderboard_overview(board), Path(config.write_to).expanduser())
    return text


def main() -> None:
    """Entry point of `leopart-benchmark`."""
    run_command("benchmark", benchmark)
