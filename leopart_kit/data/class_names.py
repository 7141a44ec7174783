"""Class names that a user keeps beside their masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leopart_kit.data.image_files import Color
from leopart_kit.data.label_sets import IGNORE_INDEX
from leopart_kit.input_files import is_text, read_json, read_lines

Names = tuple[str, ...]
Colors = tuple[Color, ...]

_FORM = 'a list of names or of {"name": "cell", "color": [255, 0, 0]}'


def read_class_names(folder: Path) -> tuple[Names | None, Colors | None]:
    """Names, and colours where given, of `classes.json` or `classes.txt`; None without a file.

    `classes.json` is a list of names or of `{"name": "cell", "color": [255, 0, 0]}`;
    `classes.txt` has one name a line. The first name belongs to id 0.

    Raises:
        ValueError: the file is of another form, or lists no or more than 255 classes.
    """
    text_file, json_file = folder / "classes.txt", folder / "classes.json"
    if json_file.exists():
        file, (names, colors) = json_file, _read_json(json_file)
    elif text_file.exists():
        file, names, colors = text_file, tuple(read_lines(text_file)), None
    else:
        return None, None
    if not 1 <= len(names) <= IGNORE_INDEX:
        raise ValueError(f"{file} lists {len(names)} classes; 1 to {IGNORE_INDEX} are possible")
    return names, colors


def _read_json(file: Path) -> tuple[Names, Colors | None]:
    entries = read_json(file)
    if not isinstance(entries, list):
        raise ValueError(f"{file} must be {_FORM}, got {type(entries).__name__}")
    objects = sum(isinstance(entry, dict) for entry in entries)
    if objects not in (0, len(entries)):
        raise ValueError(f"{file} must be {_FORM}, and not a mixture of the two")
    if not objects:
        return tuple(_name(file, entry) for entry in entries), None
    names = tuple(_name(file, entry.get("name")) for entry in entries)
    without = [name for name, entry in zip(names, entries, strict=True) if "color" not in entry]
    if len(without) == len(names):
        return names, None
    if without:
        raise ValueError(f"{file} gives no color to {without[0]!r}; give one to all or to none")
    return names, _distinct(file, tuple(_color(file, entry["color"]) for entry in entries))


def _name(file: Path, value: Any) -> str:
    """A text that can be written down; a number counts as one."""
    if type(value) in (str, int) and is_text(str(value)):
        return str(value).strip()
    raise ValueError(f"{file} must be {_FORM}, got the name {ascii(value)[:50]}")


def _color(file: Path, value: Any) -> Color:
    if isinstance(value, list) and len(value) == 3:
        red, green, blue = value
        if all(type(part) is int and 0 <= part <= 255 for part in value):
            return red, green, blue
    raise ValueError(f"{file}: a color is [red, green, blue], 0 to 255, got {ascii(value)[:50]}")


def _distinct(file: Path, colors: Colors) -> Colors:
    twice = next((color for i, color in enumerate(colors) if color in colors[:i]), None)
    if twice is not None:
        raise ValueError(f"{file} gives the color {list(twice)} to two classes; choose another")
    return colors
