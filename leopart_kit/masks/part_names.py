"""The names that users give to parts and objects: `names.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leopart_kit.input_files import is_text, parse_json, read_text

_KEY = re.compile(r"(?:part_)?(?P<part>[0-9]{1,9})|object_(?P<object>[0-9]{1,9})")


@dataclass(frozen=True)
class PartNames:
    """Names of clusters (parts) and of communities of clusters (objects), by id.

    `source` is where they are from, as errors say it.
    """

    parts: Mapping[int, str] = field(default_factory=dict)
    objects: Mapping[int, str] = field(default_factory=dict)
    source: str = field(default="names", compare=False)

    def check(self, num_parts: int, num_objects: int) -> None:
        """Raise `ValueError` that lists the ids with a name which do not exist."""
        wrong = [f"{i}" for i in sorted(self.parts) if i >= num_parts]
        wrong += [f"object_{i:03d}" for i in sorted(self.objects) if i >= num_objects]
        if wrong:
            wrong[5:] = ["…"] * (len(wrong) > 5)
            there = f"0 to {num_parts - 1}"
            if num_objects:
                there += f" and object_000 to object_{num_objects - 1:03d}"
            raise ValueError(
                f"{self.source}: names are given to clusters that do not exist: {', '.join(wrong)} "
                f"(the model has {there}); use the names.json that belongs to the model"
            )

    def to_json(self) -> str:
        """The text of a `names.json`."""
        entries = {str(index): name for index, name in self.parts.items()}
        entries |= {f"object_{index:03d}": name for index, name in self.objects.items()}
        return json.dumps(entries, ensure_ascii=False)


def read_names(path: Path) -> PartNames:
    """Read `{"0": "wheel", "5": "wheel", "object_002": "car"}`.

    A key is the number of a cluster (`7` or `part_007`), or of a community (`object_002`).

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: not such a JSON file (names the file and what is wrong).
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; set names to a names.json")
    return parse_names(read_text(path), path)


def parse_names(text: str, source: object = "names") -> PartNames:
    """`read_names` of a text; `ValueError` says what is wrong with it and where it is from."""
    expected = f'{source}: expected {{"0": "wheel", …}}, the number of a cluster and its name'
    entries = parse_json(text, source, object_pairs_hook=_Entries)
    if not isinstance(entries, _Entries):
        raise ValueError(f"{expected}, got {type(entries).__name__}")
    parts: dict[int, str] = {}
    objects: dict[int, str] = {}
    for key, name in entries:
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"{expected}, got the key {key!r}")
        if not isinstance(name, str) or not is_text(name):
            raise ValueError(
                f"{source}: the name of {key!r} must be text, got {ascii(name)[:50]}; or leave it "
                "out"
            )
        group, names = ("part", parts) if match["part"] else ("object", objects)
        index = int(match[group])
        if names.setdefault(index, name.strip()) != name.strip():
            raise ValueError(
                f"{source}: {group} {index} has two names, {names[index]!r} and {name!r}"
            )
    return PartNames(parts, objects, str(source))


class _Entries(list[tuple[str, object]]):
    """The entries of a JSON object in order, repeated keys and all."""

    def __init__(self, pairs: Iterable[tuple[str, object]]) -> None:
        super().__init__(pairs)
