"""Trainings that another command asks for: made once, and taken again while they are the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from leopart_kit.backbones.saved_backbone import BACKBONE_NAME, saved_precision
from leopart_kit.cli.config import compose_command
from leopart_kit.cli.declared import encoder_node
from leopart_kit.cli.overrides import key_of
from leopart_kit.cli.repeating import command_for, words_for
from leopart_kit.cli.round_checks import check_number
from leopart_kit.cli.rounds import has_ended, rounds_of, run_rounds
from leopart_kit.cli.run_parts import read_method
from leopart_kit.cli.trained_encoder import trained_node
from leopart_kit.cli.words import word_of
from leopart_kit.methods import MethodSettings
from leopart_kit.report.page import PAGE_NAME

logger = logging.getLogger(__name__)


def train_once(config: DictConfig, folder: Path, words: Sequence[str]) -> Path:
    """The trained backbone; a broken-off training goes on, one of another kind is no match.

    Args:
        words: what the configuration was first composed from.

    Raises:
        ValueError: the folder holds a training with other settings or images.
    """
    backbone = folder / BACKBONE_NAME
    words = words_for("train", words, config)
    if is_trained(config, folder, words) and saved_precision(backbone) == config.backbone_precision:
        logger.info("reused %s", backbone)
    else:
        run_rounds(config, folder, words, command_for("leopart train", "train", words, config))
    return backbone


def is_trained(config: DictConfig, folder: Path, words: Sequence[str]) -> bool:
    """True if this training has ended in a folder; another training there is an error."""
    if not (folder / PAGE_NAME).is_file():
        return False
    found = rounds_of(config, folder, words)
    check_number(folder, len(found))
    return all(has_ended(*one) for one in found)


@dataclass(frozen=True)
class PlannedTraining:
    """A training of an encoder, of which every setting fits.

    Attributes:
        node: the encoder at the start, as of the group `encoder`.
        config: of the whole training, composed from `words`.
        method: that of the last round.
    """

    node: Mapping[str, Any]
    folder: Path
    config: DictConfig
    words: Sequence[str]
    method: MethodSettings

    def run(self) -> dict[str, Any]:
        """Train, or take what was trained before; the node of the trained encoder."""
        weights = str(train_once(self.config, self.folder, self.words))
        return trained_node(self.method, self.node, weights)


def plan_training(node: Mapping[str, Any], words: Sequence[str], folder: Path) -> PlannedTraining:
    """A training of `node` into `folder` by `leopart train` with these words.

    Raises:
        ValueError: a setting that does not exist or does not fit, or words that choose another
            encoder or another folder.
    """
    for word in words:
        key = key_of(word)
        if key.partition(".")[0] == "encoder":
            raise ValueError("trained: the encoder is that of the entry; leave out encoder=")
        if key == "output_dir":
            raise ValueError(f"trained: lies in the entry's own folder; leave out {word}")
    start = [f"encoder={encoder_node(node['name'])}"]
    start += [word_of(f"encoder.{key}", value) for key, value in node.items()]
    chosen = [word for word in words if word.startswith("recipe=")]
    rest = [word for word in words if word not in chosen]
    said = [*chosen, *start, *rest, f"output_dir={word_of('', str(folder))[1:]}"]
    config = compose_command("train", said)
    last = rounds_of(config, folder, said)[-1].config
    asked = read_method(last)
    return PlannedTraining(node, folder, config, said, asked)


def chooses_images(words: Sequence[str]) -> bool:
    """True if these words of `leopart train`, or a recipe among them, choose a data set."""
    if any(key_of(word).partition(".")[0] == "dataset" for word in words):
        return True
    default, composed = (compose_command("train", said).dataset.name for said in ((), words))
    return composed != default
