"""Words that a shell may complete, read off a command's page of help."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_SETTING = re.compile(r"^  ([\w.]+)=.*\n      (.*)", re.MULTILINE)
_CHOICES = re.compile(r"^([\w@., ]+): (.+)$", re.MULTILINE)
_ONE_OF = re.compile(r"(?:\w+ \| )+\w+|true or false")


def completions(page: str, before: Sequence[str], word: str) -> list[str]:
    """Words that begin as the last one does: names of settings, or values of one that is named.

    Args:
        before: the words before it. Bash counts `=` as a word of its own: `dataset`, `=`, `vo`.
    """
    values = values_on(page)
    if word == "=" or before[-1:] == ["="]:
        name = before[-1] if word == "=" else (before[-2:-1] or [""])[0]
        begun = "" if word == "=" else word
        return [value for value in values.get(name, ()) if value.startswith(begun)]
    name, equals, begun = word.partition("=")
    if equals:
        return [f"{name}={value}" for value in values.get(name, ()) if value.startswith(begun)]
    return [f"{name}=" for name in values if name.startswith(word)]


def values_on(page: str) -> Mapping[str, list[str]]:
    """Choices and settings that a page lists, with the values of those that have a few."""
    found: dict[str, list[str]] = {}
    choices = page.partition("\n== Choices")[2].partition("\n== Settings")[0]
    for names, listed in _CHOICES.findall(choices):
        found |= dict.fromkeys(names.split(", "), listed.split(", "))
    for name, words in _SETTING.findall(page):
        kind = _ONE_OF.match(words)
        found.setdefault(name, re.split(r" \| | or ", kind[0]) if kind else [])
    return found
