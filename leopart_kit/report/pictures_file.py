"""pictures.json: small pictures of a run, from which a leaderboard shows encoders together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leopart_kit.evaluation.result import Sample
from leopart_kit.report.json_files import read_versioned, write_json
from leopart_kit.report.sample_view import sample_views

FILE_NAME = "pictures.json"
SCHEMA_VERSION = 1
_MOST = 4


def write_pictures(samples: Sequence[Sample], class_names: Sequence[str], folder: Path) -> Path:
    """Write the first pictures of a run, with their panels as data URIs."""
    images = [
        {
            "name": view.name,
            "size": view.size,
            "miou": view.mious[-1] if view.mious else None,
            "panels": {panel.caption: panel.uri for panel in view.panels},
        }
        for view in sample_views(samples[:_MOST], class_names)
    ]
    document = {"schema_version": SCHEMA_VERSION, "images": images}
    return write_json(document, folder / FILE_NAME)


def read_pictures(folder: Path) -> dict[str, dict[str, Any]]:
    """The pictures of a run by the name of their image; none where it has left none."""
    try:
        found = read_versioned(folder / FILE_NAME, "pictures", SCHEMA_VERSION, "images")
    except FileNotFoundError:
        return {}
    for image in found["images"]:
        for uri in image["panels"].values():
            if not uri.startswith("data:image/"):
                raise ValueError(f"{folder / FILE_NAME} holds something that is no picture")
    return {image["name"]: image for image in found["images"]}
