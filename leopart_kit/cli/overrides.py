"""Words of a command line, made ready for Hydra.

Hydra reads `dataset.root=2012` as a number and stumbles on the quote of `it's`. It also refuses
what a node does not have before anybody can say what may have been meant. Texts are quoted here,
and what does not exist is left for `read_settings` to name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from leopart_kit.cli.words import text_of

# Settings that hold names, paths and titles; with its group where another class has a number.
PATHS = frozenset(
    """assignments base captions classes_file content images model names names_file protocol.head
    resume root style train_lists weights""".split()  # noqa: SIM905
)
"""Settings that name what a command reads, by a path."""
TEXTS = PATHS.difference(["resume"]).union(
    """cache_dir classes content_layer factory image json key label_set mask name network only
    output_dir publish split test_split title train_split write_to""".split()  # noqa: SIM905
)
_SETTING = re.compile(r"(?P<sign>\+{0,2})(?P<key>[A-Za-z_][\w@.]*)=(?P<value>.*)", re.DOTALL)
_PLAIN = re.compile(r"[\w.+-]+")


def prepare_words(words: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Overrides as Hydra should read them.

    Args:
        groups: names that choose a node, such as `dataset`; they pass as they are.
    """
    return [_prepare(word, groups) for word in words]


def printed_words(words: Sequence[str]) -> list[str]:
    """The words as a user writes them, for a command that is shown."""
    return [word.lstrip("+") if _SETTING.fullmatch(word) else word for word in words]


def key_of(word: str) -> str:
    """The name that a word sets; of a word that sets none, the word."""
    return word.lstrip("+").partition("=")[0]


def _prepare(word: str, groups: Sequence[str]) -> str:
    found = _SETTING.fullmatch(word)
    if found is None:
        return word
    key, value = found["key"], found["value"]
    if "@" in key or key in groups:
        return word
    sign = "" if key.startswith("hydra.") else "++"
    return f"{sign}{key}={text_of(value) if _is_text(key, value) else value}"


def _is_text(key: str, value: str) -> bool:
    """True for a name or path that Hydra would refuse, or take for a number, list or mapping."""
    last = ".".join(key.split(".")[-2:])
    name = last if last in TEXTS else key.rpartition(".")[2]
    if name not in TEXTS or value in ("", "null"):
        return False
    try:
        read = OverridesParser.create().parse_override(f"x={value}").value()
    except HydraException:
        return True
    if _PLAIN.fullmatch(value):
        return not isinstance(read, str)
    return name in PATHS and read != value and os.path.exists(value)
