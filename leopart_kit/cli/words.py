"""Settings as words of a command line, so written that Hydra reads them back as they are."""

from __future__ import annotations

import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][\w./:-]*", re.ASCII)
_NO_TEXT = ("null", "true", "false", "nan", "inf", "infinity")


def word_of(key: str, value: Any) -> str:
    """A setting as a word."""
    return f"{key}={text_of(value)}"


def text_of(value: Any) -> str:
    """A value as Hydra reads it back; keys of mappings must be free of quotes."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{','.join(map(text_of, value))}]"
        case dict():
            items = (f"{_key_text(key)}:{text_of(item)}" for key, item in value.items())
            return "{" + ",".join(items) + "}"
        case str() if not _PLAIN.fullmatch(value) or value.lower() in _NO_TEXT:
            # To OmegaConf a backslash is itself, except before what would be looked up.
            value = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
            # To Hydra a backslash is itself, except before a quote.
            return "'" + re.sub(r"(\\*)('|$)", _escaped, value) + "'"
    return str(value)


def _escaped(found: re.Match[str]) -> str:
    return 2 * found[1] + ("\\'" if found[2] else "")


def _key_text(key: Any) -> str:
    return re.sub(r"[^\w/.+-]", lambda found: "\\" + found[0], str(key))
