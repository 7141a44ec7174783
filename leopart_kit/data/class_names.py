"""Class names that a user keeps beside their masks."""

from __future__ import annotations

import json
from pathlib import Path

from leopart_kit.data.image_files import Color
from leopart_kit.data.label_sets import IGNORE_INDEX

Names = tuple[str, ...]
Colors = tuple[Color, ...]


def read_class_names(folder: Path) -> tuple[Names | None, Colors | None]:
    """Names, and colours where given, of `classes.json` or `classes.txt`; None without a file.

    `classes.json` is a list of names or of `{"name": "cell", "color": [255, 0, 0]}`;
    `classes.txt` has one name a line. The first name belongs to id 0.

    Raises:
        ValueError: the file is of another form, or lists no or more than 255 classes.
    """
    text_file, json_file = folder / "classes.txt", folder / "classes.json"
    if json_file.is_file():
        file, (names, colors) = json_file, _read_json(json_file)
    elif text_file.is_file():
        lines = text_file.read_text(encoding="utf-8").splitlines()
        file, names, colors = text_file, tuple(line.strip() for line in lines if line.strip()), None
    else:
        return None, None
    if not 1 <= len(names) <= IGNORE_INDEX:
        raise ValueError(f"{file} lists {len(names)} classes; 1 to {IGNORE_INDEX} are possible")
    return names, colors


def _read_json(file: Path) -> tuple[Names, Colors | None]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise TypeError(f"found {type(entries).__name__}")
        if not all(isinstance(entry, dict) for entry in entries):
            return tuple(str(entry) for entry in entries), None
        names = tuple(str(entry["name"]) for entry in entries)
        if not all("color" in entry for entry in entries):
            return names, None
        return names, tuple((int(r), int(g), int(b)) for r, g, b in (e["color"] for e in entries))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f'{file} must be a list of names or of {{"name": "cell", "color": [255, 0, 0]}} '
            f"({error!r})"
        ) from error
