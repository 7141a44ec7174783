"""A COCO JSON file written record by record, so that memory does not grow with the folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from leopart_kit.masks.json_text import json_text
from leopart_kit.whole_file import names_file, whole_file

Record = Mapping[str, Any]


class CocoFile:
    """Collects records of images and annotations in a scratch folder, then writes the file.

    No file stays open in between: one export may write hundreds of these at a time.
    """

    def __init__(self, path: Path, categories: list[dict[str, Any]], scratch: Path) -> None:
        self._path = path
        self._categories = categories
        self._parts = {part: scratch / f"{path.stem}.{part}" for part in ("images", "annotations")}
        for file in self._parts.values():
            file.touch()

    def add(self, image: Record, annotations: list[Record]) -> None:
        """Add one image and its annotations."""
        for part, records in (("images", [image]), ("annotations", annotations)):
            path = self._parts[part]
            with names_file(self._path), path.open("a", encoding="utf-8") as file:
                file.writelines(json_text(record) + "\n" for record in records)

    def finish(self) -> Path:
        """Write the file and return its path; raises `OSError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._path) as temporary, temporary.open("w", encoding="utf-8") as file:
            info = {"description": "masks of parts, made by leopart_kit", "version": "1"}
            file.write(f'{{"info": {json.dumps(info)}, "licenses": []')
            file.write(f', "categories": {json_text(self._categories)}')
            for part, records in self._parts.items():
                file.write(f', "{part}": [')
                _copy_lines(records, file)
                file.write("]")
            file.write("}\n")
        return self._path


def _copy_lines(source: Path, target: IO[str]) -> None:
    separator = "\n"
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            target.write(separator + line.rstrip("\n"))
            separator = ",\n"
