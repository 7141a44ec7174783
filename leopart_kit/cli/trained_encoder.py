"""The encoder of a training: as it is built, and as it is chosen once it was trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from leopart_kit.backbones import Encoder
from leopart_kit.backbones.encoder_settings import EncoderSettings
from leopart_kit.backbones.load import has_option
from leopart_kit.cli.build import build_encoder, plain
from leopart_kit.cli.declared import node_of, words_of_encoder
from leopart_kit.cli.run_parts import read_method
from leopart_kit.cli.words import word_of
from leopart_kit.methods import MethodSettings

logger = logging.getLogger(__name__)

_OF_THE_START = ("name", "weights", "network", "grid", "seed")  # the head stands on what is left


def build_student(config: DictConfig) -> Encoder:
    """The encoder that a training starts from.

    What a recipe or the method's paper says and this encoder does not have is left out, in a line
    of the log.

    Raises:
        ValueError: a stochastic depth of the user's, which the encoder does not have.
    """
    name, precision, drop_path = config.encoder.name, config.precision, _drop_path(config)
    if precision != "fp32" and not has_option(name, "precision"):
        logger.info("precision=%s: of the training; %s is measured in fp32", precision, name)
        precision = "fp32"
    return build_encoder(config.encoder, precision, drop_path)


def _drop_path(config: DictConfig) -> float:
    name, asked = config.encoder.name, read_method(config)
    if not asked.drop_path or has_option(name, "drop_path_rate"):
        return asked.drop_path
    if asked.drop_path != type(asked).drop_path:
        raise ValueError(
            f"method.drop_path={asked.drop_path:g}: encoder {name} is no named vision transformer "
            "and has no stochastic depth; set method.drop_path=0"
        )
    logger.info(
        "method.drop_path=%g is left out: encoder %s has no stochastic depth", asked.drop_path, name
    )
    return 0.0


def trained_node(asked: MethodSettings, node: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """The group `encoder` once a method has trained the encoder of this node."""
    if asked.loader is None:
        return {**node, "weights": weights, "network": "auto"}
    default = node_of(EncoderSettings)
    other = {k: v for k, v in node.items() if k not in _OF_THE_START and v != default[k]}
    options = {"weights": weights, "name": node["name"], **other}
    return {"name": "custom", "factory": asked.loader, "factory_options": options}


def words_of_trained(config: DictConfig, weights: str) -> list[str]:
    """The words by which other commands measure what a training has left, as it has done."""
    default = node_of(EncoderSettings)
    made = trained_node(read_method(config), plain(config.encoder), weights)
    words = words_of_encoder(made["name"])
    chosen = {k: v for k, v in made.items() if k not in ("name", "seed") and v != default[k]}
    words += [word_of(f"encoder.{key}", value) for key, value in chosen.items()]
    return words if config.precision == "fp32" else [*words, f"precision={config.precision}"]
