"""Encoders of a leaderboard: each as it is, or trained first by one budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, TypeAlias

from omegaconf import DictConfig, OmegaConf
from pydantic import Field

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.cli.build import build_encoder, plain
from leopart_kit.cli.commands import Precision, Words, read_words
from leopart_kit.cli.config import USER_ERRORS
from leopart_kit.cli.overrides import key_of
from leopart_kit.cli.trained import PlannedTraining, chooses_images, plan_training
from leopart_kit.cli.words import word_of
from leopart_kit.settings import Text, Whole, declared, settings, several

Compose = Callable[[Sequence[str]], DictConfig]
"""Makes an evaluation's configuration from the words of a benchmark."""


Patterns: TypeAlias = Text | several(Text)  # type: ignore[valid-type]
"""Of names, as voc_*: one or a list; what fits any of them is meant."""


def fits(name: str, patterns: str | Sequence[str]) -> bool:
    """True if a pattern fits the name."""
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch(name, pattern) for pattern in listed)


@settings
class EncoderEntry(EncoderSettings):
    """An encoder to measure."""

    name: Text | None = None  # type: ignore[assignment]
    """Of the zoo, or of a timm model; not needed beside factory."""
    precision: Precision | None = None
    """If not that of the others, as handcrafted has no bf16."""
    published_as: Annotated[tuple[Text, Text], Field(strict=False)] | None = None
    """[method, encoder] of the published row that it should reach."""
    only: Patterns = "*"
    """Pattern of the benchmarks it runs on, or a list."""
    trained: Words | None = None
    """Settings of leopart train by which it is trained first, from these weights; without a dataset
    anew for each data set that is measured, on its training images."""
    training_seeds: several(Whole) | None = None  # type: ignore[valid-type]
    """Seeds of that training; the leaderboard has mean and spread of all."""

    def __post_init__(self) -> None:
        if self.name is None and self.factory is None:
            raise ValueError("name is not set")
        if self.training_seeds is not None and self.trained is None:
            raise ValueError("training_seeds: nothing is trained; set trained=")


@dataclass(frozen=True)
class Entry:
    """An encoder to measure.

    Attributes:
        node: its configuration, as of the group `encoder`.
        precision: fp32 or bf16; that of all encoders unless it has its own.
        published_as: method and encoder of the published row that it should reach.
        only: patterns of the benchmarks it runs on.
        trained: settings of `leopart train`; None for an encoder that is measured as it is.
        training_seeds: of as many trainings; empty for one with the seed that `trained` says.
    """

    node: DictConfig
    precision: str
    published_as: tuple[str, str] | None
    only: str | tuple[str, ...]
    trained: tuple[str, ...] | None
    training_seeds: tuple[int, ...]

    def runs(self, benchmark: str) -> bool:
        """True if the encoder is to be measured on this benchmark."""
        return fits(benchmark, self.only)


@dataclass
class Network:
    """A network that stands for an entry on some benchmarks: as it is, or of one training.

    Attributes:
        folder: of all that is the entry's.
        benchmarks: by name, the words of `leopart eval`.
        part: where results of this training lie below the folder of a benchmark.
        training: what makes it; None for an encoder as it is.
        failure: why there is no training.
        node: as of the group `encoder`; of the trained network once it is built.
    """

    entry: Entry
    folder: Path
    benchmarks: Mapping[str, Sequence[str]]
    part: str = ""
    training: PlannedTraining | None = None
    failure: Exception | None = None
    node: DictConfig = field(init=False)

    def __post_init__(self) -> None:
        self.node = self.entry.node

    def build(self) -> Encoder:
        """The encoder, trained first if it is to be."""
        if self.failure is not None:
            raise self.failure
        if self.training is not None:
            self.node = OmegaConf.create(self.training.run())
        return build_encoder(self.node, self.entry.precision)

    def results(self, benchmark: str) -> Path:
        """Folder of its results on a benchmark."""
        return self.folder / benchmark / self.part


def read_entry(entry: EncoderEntry, node: DictConfig, more: Sequence[str], precision: str) -> Entry:
    """An entry as it was set.

    Args:
        node: the entry as it was composed.
        more: settings of every training, behind its own.
        precision: of encoders that do not have their own.

    Raises:
        ValueError: two seeds for one training.
    """
    own = [setting.name for setting in declared(EncoderEntry)]
    around = [name for name in own if name not in EncoderSettings.__dataclass_fields__]
    values = {"name": "custom", **plain(node)}
    trained = None if entry.trained is None else (*read_words(entry.trained), *more)
    if entry.training_seeds and any(key_of(word) == "seed" for word in trained or ()):
        raise ValueError(
            "encoders: training_seeds beside a seed in trained or training; leave one of them out"
        )
    return Entry(
        OmegaConf.create({k: v for k, v in values.items() if k not in around}),
        entry.precision or precision,
        entry.published_as,
        entry.only,
        trained,
        entry.training_seeds or (),
    )


def networks_of(
    entry: Entry,
    folder: Path,
    benchmarks: Mapping[str, Sequence[str]],
    compose: Compose,
) -> list[Network]:
    """The networks that stand for an entry, each with its benchmarks.

    Args:
        folder: of all that is the entry's.
        benchmarks: by name, the words of all there are.

    Raises:
        ValueError: a setting of a training that does not fit.
    """
    mine = {name: words for name, words in benchmarks.items() if entry.runs(name)}
    if entry.trained is None:
        return [Network(entry, folder, mine)]
    if not mine:
        return []
    if "training" in mine:
        raise ValueError("benchmarks: training is the folder of trainings; choose another name")
    if chooses_images(entry.trained):
        return _trained(entry, folder, mine)
    found: dict[tuple[str, ...], dict[str, Sequence[str]]] = {}
    failed = []
    for name, words in mine.items():
        try:
            images = training_images(compose(words))
        except USER_ERRORS as error:  # the cell says so, as that of an encoder as it is
            failed.append(Network(entry, folder, {name: words}, failure=error))
        else:
            found.setdefault(images, {})[name] = words
    networks, named = [], set[str]()
    for images, chosen in found.items():
        own = images[0].partition("=")[2]
        own = next(iter(chosen)) if own in named else own  # two folders of one kind
        named.add(own)
        networks += _trained(entry, folder, chosen, images, own)
    return networks + failed


def _trained(
    entry: Entry,
    folder: Path,
    benchmarks: Mapping[str, Sequence[str]],
    images: Sequence[str] = (),
    own: str = "",
) -> list[Network]:
    """One network for each seed, trained into the folder `training/own`."""
    networks = []
    for seed in entry.training_seeds or (None,):
        part = "" if seed is None else f"seed_{seed}"
        words = [*(entry.trained or ()), *images, *([] if seed is None else [f"seed={seed}"])]
        planned = plan_training(plain(entry.node), words, folder / "training" / own / part)
        networks.append(Network(entry, folder, benchmarks, part, planned))
    return networks


def training_images(evaluation: DictConfig) -> tuple[str, ...]:
    """Words of `leopart train` for the training images of what an evaluation measures.

    Raises:
        ValueError: its data set is one folder without splits.
    """
    values = plain(evaluation.dataset)
    name = values.pop("name")
    if "split" not in values:
        raise ValueError(
            f"trained: dataset={name} has no training split; choose images by dataset= in trained"
        )
    values["split"] = evaluation.protocol.get("train_split") or "train"
    # Of what is measured alone.
    kept = {k: v for k, v in values.items() if v is not None and k not in ("label_set", "limit")}
    return (f"dataset={name}", *(word_of(f"dataset.{key}", kept[key]) for key in sorted(kept)))
