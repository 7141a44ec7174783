"""`leopart bench`: many encoders on many benchmarks, and a leaderboard of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pydantic import Field
from rich.console import Console
from rich.markdown import Markdown

from leopart_kit.cli.bench_encoders import (
    Compose,
    EncoderEntry,
    Entry,
    Network,
    Patterns,
    fits,
    networks_of,
    read_entry,
)
from leopart_kit.cli.build import build_run_settings
from leopart_kit.cli.cells import (
    ROOTS,
    choose_benchmarks,
    compose_benchmark,
    merge_settings,
    run_encoder,
)
from leopart_kit.cli.commands import FolderName, Precision, Words, read_command
from leopart_kit.cli.config import USER_ERRORS, describe_error, keep_settings, run_command
from leopart_kit.cli.overrides import key_of
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.evaluation.task import Auditing, RunSettings
from leopart_kit.processes import check_shared, join_processes
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
from leopart_kit.settings import (
    PathText,
    Text,
    Whole,
    declared,
    settings,
)
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)


@settings
class BenchmarkCommand(Auditing):
    """Many encoders on many benchmarks, one leaderboard."""

    output_dir: Text = "outputs/benchmark"
    """Always the same, so that the next call goes on where this one stopped."""
    cache_dir: Text = "${output_dir}/features"
    """Folder of extracted features."""
    title: Text = "Dense protocols"
    """Of the leaderboard."""
    encoders: dict[FolderName, EncoderEntry] | None = None
    """By a name of your choice: {mine: {name: dino_vits16, weights: FILE}}."""
    benchmarks: dict[FolderName, Words | None] | None = None
    """NAME: null for eval/benchmark/NAME.yaml, or settings of leopart eval; they join those of the
    suite."""
    only: Patterns = "*"
    """Pattern of the benchmarks that are run, as voc_*, or a list; the others are left out."""
    roots: dict[str, Text | None] = Field(default_factory=lambda: dict.fromkeys(ROOTS))
    """Folder of each data set."""
    overrides: Words = ""  # type: ignore[assignment]
    """Settings of leopart eval for every evaluation: 'overrides="protocol.seeds=2 masks=true"'."""
    training: Words = ""  # type: ignore[assignment]
    """Settings of leopart train for every encoder with trained=: 'training="seed=1 epochs=2"'."""
    include: dict[FolderName, dict[FolderName, PathText]] | None = None
    """Results made elsewhere: {benchmark: {name: folder of its results.json}}."""
    publish: PathText | None = None
    """Place of a copy of the leaderboard, as eval/results/NAME: NAME.json and NAME.md."""
    write_to: PathText | None = None
    """Markdown file; the overview is written between its marks."""
    precision: Precision = "fp32"
    """Of the encoders; bf16 by autocast."""
    masks: bool = False
    """Write masks/ for all images."""
    page_images: Whole = 8
    """Images shown on each page."""


PART = BenchmarkCommand

# What every evaluation takes over; of the former alone can one have its own.
_OUTPUTS = ("masks", "page_images")
_SHARED = (*(setting.name for setting in declared(Auditing)), "cache_dir", "precision")
_PASSED_ON = (*_SHARED, *_OUTPUTS)


def benchmark(config: DictConfig, output_dir: Path) -> None:
    """Run every cell that is not there yet, and write the leaderboard after every encoder."""
    processes = join_processes()
    if not processes.first:
        logging.getLogger().setLevel(logging.WARNING)
    command = read_command(BenchmarkCommand, config)
    writable_output_dir(output_dir)
    check_shared(output_dir, processes)
    run = build_run_settings(config, processes)
    encoders, benchmarks = chosen_encoders(config, command), chosen_benchmarks(command)
    if processes.count > 1 and any(entry.trained for entry in encoders.values()):
        raise ValueError("encoders with trained= are trained in one process: leave out torchrun")

    def compose(words: Sequence[str]) -> DictConfig:
        return compose_benchmark(words, command.roots, "roots")

    networks = {
        name: _networks(name, entry, output_dir / name, benchmarks, compose)
        for name, entry in encoders.items()
    }
    if not any(network.benchmarks for own in networks.values() for network in own):
        raise ValueError("nothing to measure: only= of the encoders leaves them no benchmark")
    if processes.first:
        keep_settings(config, output_dir)
    shown = repeated_by("leopart bench", "benchmark", config)
    passed_on = {key: config[key] for key in _PASSED_ON}
    made: list[Cell] = []
    for name, own in networks.items():
        for network in own:
            made += _measure(name, network, compose, passed_on, run)
        if processes.first:
            text = write_all(command, [*included(command), *made], output_dir, shown)
    processes.wait()
    if processes.first:
        Console().print(Markdown(text))
        logger.info("leaderboard: %s", output_dir / "leaderboard.html")
    _check_measured(made, output_dir)


def _check_measured(made: Sequence[Cell], output_dir: Path) -> None:
    """Raise `ValueError` if every cell failed; a warning says how many of them did."""
    failed = [cell for cell in made if cell.folder is None]
    if not failed:
        return
    told = f"; {output_dir / 'leaderboard.md'} says why"
    if len(failed) < len(made):
        return logger.warning("%d of %d cells have no figures%s", len(failed), len(made), told)
    first = failed[0]
    raise ValueError(
        f"nothing was measured, {first.encoder} on {first.benchmark}: {first.reason}{told}"
    )


def _networks(name: str, entry: Entry, *rest: Any) -> list[Network]:
    """See `networks_of`; an error says of which encoder it is."""
    try:
        return networks_of(entry, *rest)
    except USER_ERRORS as error:
        raise ValueError(f"encoders.{name}: {describe_error(error)}") from error


def _measure(
    name: str,
    network: Network,
    compose: Compose,
    passed_on: Mapping[str, Any],
    run: RunSettings,
) -> list[Cell]:
    """The cells of one network, which is trained first if it is to be."""
    entry = network.entry

    def prepare(words: Sequence[str]) -> DictConfig:
        said = {key_of(word) for word in words}
        kept = {key: value for key, value in passed_on.items() if key not in said}
        own = {**kept, "encoder": network.node, "precision": entry.precision}
        return merge_settings(compose(words), own)

    training = None if network.training is None else network.training.folder
    cells = run_encoder(name, network.build, network.benchmarks, prepare, network.results, run)
    return [replace(c, published_as=entry.published_as, training=training) for c in cells]


def chosen_encoders(config: DictConfig, command: BenchmarkCommand) -> Mapping[str, Entry]:
    """The encoders to measure, by name.

    Raises:
        ValueError: none is named.
    """
    if not command.encoders:
        raise ValueError(
            "no encoder to measure: set 'encoders={mine: {name: dino_vits16, weights: FILE}}'"
        )
    return {
        name: read_entry(entry, config.encoders[name], command.training, command.precision)
        for name, entry in command.encoders.items()
    }


def chosen_benchmarks(command: BenchmarkCommand) -> Mapping[str, Sequence[str]]:
    """Overrides of `leopart eval` for every benchmark, by its name.

    Raises:
        ValueError: none is named, or one that does not exist, or a word that would be lost, or a
            pattern of `only` that fits none.
    """
    if not command.benchmarks:
        raise ValueError("no benchmark to run: set suite=NAME or 'benchmarks={voc_k500: null}'")
    found = {}
    for name, words in command.benchmarks.items():
        if words is None:
            choose_benchmarks(name)
        found[name] = [*([f"benchmark={name}"] if words is None else words), *command.overrides]
        _check_words(name, found[name])
    for pattern in [command.only] if isinstance(command.only, str) else command.only:
        if not any(fits(name, pattern) for name in found):
            raise ValueError(f"only: no benchmark is {pattern!r}; there is {', '.join(found)}")
    return {name: words for name, words in found.items() if fits(name, command.only)}


def _check_words(benchmark: str, words: Sequence[str]) -> None:
    """Raise `ValueError` for a setting that an evaluation has from its encoder or from the run."""
    for word in words:
        key = key_of(word)
        if key.partition(".")[0] == "encoder":
            raise ValueError(f"benchmark {benchmark}: {word} belongs to an entry of encoders")
        if key in (*_SHARED, "output_dir"):
            raise ValueError(f"benchmark {benchmark}: set {key} for leopart bench, not in {word}")


def included(command: BenchmarkCommand) -> list[Cell]:
    """Results that were made elsewhere, such as those of `protocol=predictions`."""
    return [
        Cell(name, benchmark, Path(folder).expanduser())
        for benchmark, folders in (command.include or {}).items()
        for name, folder in folders.items()
    ]


def write_all(
    command: BenchmarkCommand, cells: Sequence[Cell], output_dir: Path, shown: str
) -> str:
    """Write the leaderboard in every form, the command `shown`; returns its Markdown."""
    board = build_leaderboard(cells)
    text = leaderboard_markdown(board)
    write_leaderboard(board, output_dir / "leaderboard.json")
    write_whole_text(output_dir / "leaderboard.md", text)
    write_leaderboard_page(board, output_dir / "leaderboard.html", command.title, shown)
    if command.publish is not None:
        place = Path(command.publish).expanduser()
        write_leaderboard(board, place.with_suffix(".json"))
        write_whole_text(place.with_suffix(".md"), text)
    if command.write_to is not None:
        write_between_marks(leaderboard_overview(board), Path(command.write_to).expanduser())
    return text


def main() -> None:
    """Entry point of `leopart bench`."""
    run_command("benchmark", benchmark)
