"""`leopart bench`: many encoders on many benchmarks, and a leaderboard of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

from omegaconf import DictConfig, OmegaConf
from pydantic import Field
from rich.console import Console
from rich.markdown import Markdown

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import build_encoder, build_run_settings, plain
from leopart_kit.cli.cells import (
    ROOTS,
    choose_benchmarks,
    compose_benchmark,
    merge_settings,
    run_encoder,
)
from leopart_kit.cli.commands import FolderName, Precision, Words, read_command, read_words
from leopart_kit.cli.config import keep_settings, run_command
from leopart_kit.cli.overrides import key_of
from leopart_kit.cli.repeating import repeated_by
from leopart_kit.cli.trained import train_encoder
from leopart_kit.evaluation.task import Auditing
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
    several,
)
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)


@settings
class EncoderEntry(EncoderSettings):
    """An encoder to measure."""

    name: Text | None = None  # type: ignore[assignment]
    """Of the zoo, or of a timm model; not needed beside factory."""
    precision: Precision | None = None
    """If not that of the others, as handcrafted has no bf16."""
    published_as: Annotated[tuple[Text, Text], Field(strict=False)] | None = None
    """[method, encoder] of the published row that it should reach."""
    only: Text | several(Text) = "*"  # type: ignore[valid-type]
    """Pattern of the benchmarks it runs on, or a list."""
    trained: Words | None = None
    """Settings of leopart train by which it is trained first, from these weights."""

    def __post_init__(self) -> None:
        if self.name is None and self.factory is None:
            raise ValueError("name is not set")


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
    """NAME: null for eval/benchmark/NAME.yaml, or settings of leopart eval."""
    roots: dict[str, Text | None] = Field(default_factory=lambda: dict.fromkeys(ROOTS))
    """Folder of each data set."""
    overrides: Words = ""  # type: ignore[assignment]
    """Settings of leopart eval for every evaluation, as "protocol.seeds=[0,1,2] masks=true"."""
    training: Words = ""  # type: ignore[assignment]
    """Settings of leopart train for every encoder with trained=, as "seed=1"."""
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
    if processes.first:
        keep_settings(config, output_dir)
    shown = repeated_by("leopart bench", "benchmark", config)
    passed_on = {key: config[key] for key in _PASSED_ON}
    cells: list[Cell] = included(command)
    for name, entry in encoders.items():

        def prepare(overrides: Sequence[str], entry: Entry = entry) -> DictConfig:
            composed = compose_benchmark(overrides, command.roots, "roots")
            said = {key_of(word) for word in overrides}
            own = {key: value for key, value in passed_on.items() if key not in said}
            return merge_settings(
                composed, {**own, "encoder": entry.node, "precision": entry.precision}
            )

        def build(entry: Entry = entry, folder: Path = output_dir / name) -> Encoder:
            if entry.trained:
                made = train_encoder(plain(entry.node), entry.trained, folder / "training")
                entry.node = OmegaConf.create(made)
            return build_encoder(entry.node, entry.precision)

        cells += run_encoder(
            name,
            build,
            {benchmark: words for benchmark, words in benchmarks.items() if entry.runs(benchmark)},
            prepare,
            output_dir / name,
            run,
            entry.published_as,
        )
        if processes.first:
            text = write_all(command, cells, output_dir, shown)
    processes.wait()
    if processes.first:
        Console().print(Markdown(text))
        logger.info("leaderboard: %s", output_dir / "leaderboard.html")


@dataclass
class Entry:
    """An encoder to measure.

    Attributes:
        node: its configuration, as of the group `encoder`.
        precision: fp32 or bf16; that of all encoders unless it has its own.
        published_as: method and encoder of the published row that it should reach.
        only: patterns of the benchmarks it runs on.
        trained: settings of `leopart train`; none for an encoder that is measured as it is.
    """

    node: DictConfig
    precision: str
    published_as: tuple[str, str] | None
    only: tuple[str, ...]
    trained: tuple[str, ...] = ()

    def runs(self, benchmark: str) -> bool:
        """True if the encoder is to be measured on this benchmark."""
        return any(fnmatch(benchmark, pattern) for pattern in self.only)


def chosen_encoders(config: DictConfig, command: BenchmarkCommand) -> Mapping[str, Entry]:
    """The encoders to measure, by name.

    Raises:
        ValueError: none is named.
    """
    if not command.encoders:
        raise ValueError(
            "no encoder to measure: set 'encoders={mine: {name: dino_vits16, weights: FILE}}'"
        )
    own = [setting.name for setting in declared(EncoderEntry)]
    around = [name for name in own if name not in EncoderSettings.__dataclass_fields__]
    found = {}
    for name, entry in command.encoders.items():
        node = {"name": "custom", **plain(config.encoders[name])}
        found[name] = Entry(
            OmegaConf.create({k: v for k, v in node.items() if k not in around}),
            entry.precision or command.precision,
            entry.published_as,
            (entry.only,) if isinstance(entry.only, str) else entry.only,
            () if entry.trained is None else (*read_words(entry.trained), *command.training),
        )
    return found


def chosen_benchmarks(command: BenchmarkCommand) -> Mapping[str, Sequence[str]]:
    """Overrides of `leopart eval` for every benchmark, by its name.

    Raises:
        ValueError: none is named, or one that does not exist, or a word that would be lost.
    """
    if not command.benchmarks:
        raise ValueError("no benchmark to run: set suite=NAME or 'benchmarks={voc_k500: null}'")
    found = {}
    for name, words in command.benchmarks.items():
        if words is None:
            choose_benchmarks(name)
        found[name] = [*([f"benchmark={name}"] if words is None else words), *command.overrides]
        _check_words(name, found[name])
    return found


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
