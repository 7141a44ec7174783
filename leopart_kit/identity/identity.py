"""All that determines a result, as values by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Identity:
    """All that determines a result: plain JSON values by dotted name such as `method.epsilon`.

    Where two are equal, one result stands for the other: they differ by rounding at most. A value
    of None is one that is not given.
    """

    values: Mapping[str, Any]

    @classmethod
    def of(cls, **parts: Any) -> Identity:
        """The identity of these parts; a mapping is taken apart, at any depth.

        Paths count as text, tuples as lists, and 1.0 as 1.
        """
        return cls(dict(_flat(parts, "")))

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) over names and values."""
        given = {name: value for name, value in self.values.items() if value is not None}
        return hashlib.sha256(_text(given).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The beginning of `sha256`, for names of files."""
        return self.sha256[:16]

    def difference(self, other: Identity) -> str | None:
        """In words, the first value that another identity has otherwise; None if they are equal."""
        for name in dict.fromkeys([*self.values, *other.values]):
            own, others = (_text(one.values.get(name)) for one in (self, other))
            if own != others:
                return f"{name} is {_short(others)} there and {_short(own)} here"
        return None


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, Path) else value


def _text(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except TypeError:  # of a file that was changed; no value of ours
        return repr(value)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
