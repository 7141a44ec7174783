"""The command line that repeats a run, from any folder and in any shell of this machine."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from leopart_kit.cli.config import compose_command
from leopart_kit.cli.declared import encoder_node
from leopart_kit.cli.overrides import PATHS, key_of, printed_words
from leopart_kit.cli.words import word_of
from leopart_kit.launch import read_launch

_OWN = ("output_dir", "cache_dir", "identity")  # where a run lies, not what it is
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NO_PATH = ("auto", "random", "never")
_FOLDERS = frozenset({"include", "roots"})  # mappings of names to folders
_LACKING = object()


def words_of_run() -> list[str]:
    """The command line of this process, word for word."""
    # Not resolved: what a word looks up may hold what Hydra would read otherwise.
    given = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return printed_words(cast(list[str], given))


def repeated_by(program: str, config_name: str, config: DictConfig) -> str:
    """The command line that repeats the run of this process; `config` as it was composed."""
    words = words_of_run()
    launch = read_launch()
    if launch.count > 1:  # they share a batch
        nodes = -(-launch.count // launch.local_count)
        many = f"--nnodes={nodes} " if nodes > 1 else ""
        command = program.removeprefix("leopart ")
        program = f"torchrun {many}--nproc-per-node={launch.local_count} -m leopart_kit {command}"
    return command_for(program, config_name, words, config)


def command_for(program: str, config_name: str, words: Sequence[str], config: DictConfig) -> str:
    """The command line that comes to a configuration; arguments as those of `words_for`."""
    return f"{program} {shlex.join([*_flags(), *words_for(config_name, words, config)])}"


def words_for(config_name: str, words: Sequence[str], config: DictConfig) -> list[str]:
    """The words with those that are missing for a command to come to the same configuration.

    What depends on the folder or on the shell in which the run was started is written out.

    Args:
        words: what the configuration was first composed from.
        config: as it was in the end, when other settings had been put into it.
    """
    said = {key_of(word) for word in words}
    composed = _composed(config_name, words)
    wanted = _leaves(_plain(config))
    name = wanted.get("encoder.name")
    if name != composed.get("encoder.name"):
        words = [word for word in words if key_of(word) != "encoder"]
        words.append(f"encoder={encoder_node(name)}")
        composed = _composed(config_name, words)
    for key, value in wanted.items():
        if composed.get(key, _LACKING) != value or _is_said(key, said):
            wanted[key] = _from_anywhere(key, value)
    fixed = [word for word in words if not _depends(word, wanted, composed)]
    composed = _composed(config_name, fixed)
    more = [
        word_of(key, value)
        for key, value in wanted.items()
        if key.partition(".")[0] not in _OWN and composed.get(key, _LACKING) != value
    ]
    return [*fixed, *more]


def _flags() -> list[str]:
    """The folders of YAML that the user named."""
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    return [f"--config-dir={s.path}" for s in sources if s.provider == "command-line"]


def _composed(config_name: str, words: Sequence[str]) -> dict[str, Any]:
    return _leaves(_plain(compose_command(config_name, words)))


def _plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=True)


def _leaves(node: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by their dotted names; a mapping whose keys are no names is a value."""
    found: dict[str, Any] = {}
    for key, value in node.items():
        names = isinstance(value, Mapping) and all(_NAME.fullmatch(str(inner)) for inner in value)
        if names and value:
            found |= _leaves(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _is_said(key: str, said: set[str]) -> bool:
    """True if a word sets this name, or a mapping that holds it."""
    return any(key == word or key.startswith(f"{word}.") for word in said)


def _depends(word: str, wanted: Mapping[str, Any], composed: Mapping[str, Any]) -> bool:
    """True for a word that another shell or folder reads otherwise, or that was overruled."""
    key = key_of(word)
    if key in _OWN:
        return False
    return "${" in word or (key in composed and composed[key] != wanted.get(key, _LACKING))


def _from_anywhere(key: str, value: Any) -> Any:
    """A setting with the files and folders that it names by their whole paths."""
    match value:
        case list():
            return [_from_anywhere(key, item) for item in value]
        case dict():
            return {name: _from_anywhere(f"{key}.{name}", item) for name, item in value.items()}
        case str() if _is_path(key):
            there = value not in _NO_PATH and os.path.exists(value)
            return os.path.abspath(value) if there else value
        case str() if "=" in value:
            return _words_from_anywhere(value)
    return value


def _is_path(key: str) -> bool:
    *groups, name = key.split(".")
    return name in PATHS or not _FOLDERS.isdisjoint(groups)


def _words_from_anywhere(text: str) -> str:
    """Settings of another command in one text, such as `overrides` of `leopart bench`."""
    try:
        words = shlex.split(text)
    except ValueError:  # no words
        return text
    changed = [_word_from_anywhere(word) for word in words]
    return text if changed == words else shlex.join(changed)


def _word_from_anywhere(word: str) -> str:
    key = key_of(word)
    if not _is_path(key):
        return word
    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return word
    found = _from_anywhere(key, value)
    return word if found == value else word_of(key, found)
