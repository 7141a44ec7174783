"""The command line that repeats a measurement which another command has made."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from leopart_kit.cli.config import compose_command
from leopart_kit.cli.declared import declared_names

_OWN = ("output_dir", "cache_dir", "identity")  # where a run lies, not what it is
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_NO_TEXT = ("null", "true", "false", "nan", "inf", "infinity")


def command_for(program: str, config_name: str, words: Sequence[str], config: DictConfig) -> str:
    """The words with those that are missing for a command to come to the same configuration.

    Args:
        words: what the configuration was first composed from.
        config: as it was in the end, when other settings had been put into it.
    """
    name = config.get("encoder", {}).get("name")
    if name and not any(word.startswith("encoder=") for word in words):
        words = [*words, f"encoder={name if name in declared_names('encoder') else 'timm'}"]
    wanted, composed = _leaves(_plain(config)), _leaves(_plain(compose_command(config_name, words)))
    more = [
        word_of(key, value)
        for key, value in wanted.items()
        if key.partition(".")[0] not in _OWN and composed.get(key, _LACKING) != value
    ]
    return f"{program} {shlex.join([*words, *more])}"


def word_of(key: str, value: Any) -> str:
    """A setting as a word of a command line."""
    return f"{key}={_text_of(value)}"


_LACKING = object()


def _plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=True)


def _leaves(node: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _text_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{','.join(map(_text_of, value))}]"
        case dict():
            return "{" + ",".join(f"{key}:{_text_of(item)}" for key, item in value.items()) + "}"
        case str() if not _PLAIN.fullmatch(value) or value.lower() in _NO_TEXT:
            # To Hydra a backslash is itself, except before a quote.
            return "'" + re.sub(r"(\\*)('|$)", _escaped, value) + "'"
    return str(value)


def _escaped(found: re.Match[str]) -> str:
    return 2 * found[1] + ("\\'" if found[2] else "")
