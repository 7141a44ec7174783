"""Words of a command line, made ready for Hydra.

Hydra reads `dataset.root=2012` as a number and refuses what a node does not have before anybody can
say what may have been meant. Texts are quoted here, and what does not exist is left for
`read_settings` to name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

# Settings that hold names, paths and titles; the same in every class that has one of them.
TEXTS = frozenset(
    """assignments cache_dir captions classes_file content content_layer factory head images json
    label_set model name names names_file network output_dir publish root split style test_split
    title train_split weights write_to""".split()  # noqa: SIM905
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


def _prepare(word: str, groups: Sequence[str]) -> str:
    found = _SETTING.fullmatch(word)
    if found is None:
        return word
    key, value = found["key"], found["value"]
    if "@" in key or key in groups:
        return word
    sign = "" if key.startswith("hydra.") else "++"
    return f"{sign}{key}={_quoted(value) if _is_text(key, value) else value}"


def _is_text(key: str, value: str) -> bool:
    """True for a name that Hydra would take for a number or a truth value."""
    if key.rpartition(".")[2] not in TEXTS or not _PLAIN.fullmatch(value) or value == "null":
        return False
    try:
        override = OverridesParser.create().parse_override(f"x={value}")
    except HydraException:
        return False
    return not isinstance(override.value(), str)


def _quoted(value: str) -> str:
    return f"'{value}'"
