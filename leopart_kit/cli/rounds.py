"""Rounds of a training: each starts from the network that the one before has left.

That network is the new round's teacher too, where a method has one. Trainings are short, so that a
teacher which stands still has been learned from soon; the next one knows more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig

from leopart_kit.backbones.saved_backbone import BACKBONE_NAME
from leopart_kit.cli.build import build_dataset
from leopart_kit.cli.commands import read_command, read_words
from leopart_kit.cli.config import compose_command, groups_of
from leopart_kit.cli.overrides import key_of
from leopart_kit.cli.reuse import training_identity
from leopart_kit.cli.round_checks import check_number, check_rounds
from leopart_kit.cli.run_parts import build_settings, read_method
from leopart_kit.cli.train_settings import TrainCommand
from leopart_kit.cli.trained_encoder import build_student
from leopart_kit.cli.training_run import WholeTraining, run_early_round, run_training
from leopart_kit.cli.words import word_of
from leopart_kit.training import build_fabric, check_folder, recorded_identity

logger = logging.getLogger(__name__)


class Round(NamedTuple):
    """One training of several: its configuration, and the folder of all it writes."""

    config: DictConfig
    folder: Path


def run_rounds(config: DictConfig, folder: Path, words: Sequence[str], command: str) -> None:
    """Every round of a training that has not ended before; the last one is always measured.

    Args:
        words: what the configuration is composed from.
        command: that repeats it, for the page.

    Raises:
        ValueError: a setting that does not fit, or a folder that holds another training.
    """
    if config.rounds == 1:
        check_number(folder, 1)
        return run_training(config, folder, command)
    fabric = build_fabric(config.accelerator)
    folder = fabric.broadcast(folder)
    found = rounds_of(config, folder, words)
    check_number(folder, len(found))
    check_rounds(found)
    *earlier, last = found
    for number, one in enumerate(earlier, 1):
        logger.info("round %d of %d: %s", number, len(found), one.config.method.name)
        if config.trainer.resume == "never" or not has_ended(*one, fabric.world_size):
            run_early_round(*one)
    logger.info("the last of %d rounds: %s", len(found), last.config.method.name)
    whole = WholeTraining(config, {one.folder: one.config.method.name for one in earlier})
    run_training(last.config, last.folder, command, whole)


def rounds_of(config: DictConfig, folder: Path, words: Sequence[str]) -> list[Round]:
    """The rounds that a configuration asks for, in their order; the last has the folder itself.

    Raises:
        ValueError: a setting of any of them that does not fit.
    """
    asked = read_command(TrainCommand, config).rounds
    if asked == 1:
        return [Round(config, folder)]
    changes = [()] * asked if isinstance(asked, int) else [read_words(one) for one in asked]
    folders = [folder / "rounds" / str(number) for number in range(1, len(changes))]
    found = []
    for number, (changed, own) in enumerate(zip(changes, [*folders, folder], strict=True)):
        said = list(_said(words, changed))
        if number > 0:
            start = folders[number - 1] / BACKBONE_NAME
            said += [word_of("encoder.weights", str(start)), "encoder.network=auto"]
        composed = compose_command("train", [*said, word_of("output_dir", str(own)), "rounds=1"])
        read_command(TrainCommand, composed)
        if read_method(composed).loader and own != folder:
            raise ValueError(
                f"rounds: method={composed.method.name} trains more than the backbone, which "
                "alone the next round starts from; make it the last round"
            )
        found.append(Round(composed, own))
    return found


def _said(words: Sequence[str], changed: Sequence[str]) -> Iterator[str]:
    """Words of the whole command, and those of a round, which may choose another method."""
    for word in changed:
        if key_of(word).partition(".")[0] in ("rounds", "output_dir", "encoder"):
            raise ValueError(
                f"rounds: what starts a round and where it lies is known, got {word!r}"
            )
    chosen = {key_of(word) for word in changed} & set(groups_of("train"))
    other_method = not chosen.isdisjoint(("method", "recipe"))
    for word in words:
        name = key_of(word)
        if name not in chosen and not (other_method and name.startswith("method.")):
            yield word
    yield from changed


def has_ended(config: DictConfig, folder: Path, num_processes: int = 1) -> bool:
    """True if this training has ended in a folder.

    Raises:
        ValueError: the folder holds another training.
    """
    if not (folder / BACKBONE_NAME).is_file():
        return False
    dataset = build_dataset(config.dataset)
    encoder = build_student(config)
    settings = build_settings(config, len(dataset), num_processes)
    identity = training_identity(config, settings, encoder, dataset, num_processes)
    check_folder(folder, "auto", identity, num_processes)
    return recorded_identity(folder).difference(identity) is None
