"""Small pictures of a run: overview.png for papers, pictures.json for leaderboards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.drawing import colour_labels
from leopart_kit.evaluation.result import Sample
from leopart_kit.report.results_json import read_versioned, write_json
from leopart_kit.report.sample_view import sample_views
from leopart_kit.whole_file import whole_file

_CELL, _GAP, _MAX_COLUMNS = 176, 6, 6  # pixels, pixels, images
_BACKGROUND = (255, 255, 255)


def write_overview(samples: Sequence[Sample], path: Path, palette: np.ndarray) -> None:
    """Write a PNG with one column an image, at most six: image, ground truth, prediction, clusters.

    Rows that a sample lacks are left out. Every cell is the central square of its picture.

    Args:
        palette: uint8 `[n, 3]`, colours of the classes.

    Raises:
        ValueError: there is no sample.
        OSError: the file cannot be written; carries its name.
    """
    if not samples:
        raise ValueError("an overview needs at least one sample")
    columns = [_cells(sample, palette) for sample in samples[:_MAX_COLUMNS]]
    step = _CELL + _GAP
    size = (step * len(columns) - _GAP, step * len(columns[0]) - _GAP)
    sheet = Image.new("RGB", size, _BACKGROUND)
    for x, cells in enumerate(columns):
        for y, cell in enumerate(cells):
            sheet.paste(cell, (x * step, y * step))
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)


def _cells(sample: Sample, palette: np.ndarray) -> list[Image.Image]:
    labels = [
        colour_labels(m, palette) for m in (sample.target, sample.prediction) if m is not None
    ]
    if sample.clusters is not None:
        colours = cluster_palette(max(1, int(sample.clusters.max()) + 1))
        labels.append(colour_labels(sample.clusters, colours))
    return [
        _square(sample.image, Image.Resampling.LANCZOS),
        *(_square(picture, Image.Resampling.NEAREST) for picture in labels),
    ]


def _square(picture: np.ndarray, resampling: Image.Resampling) -> Image.Image:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    crop = Image.fromarray(picture[top : top + side, left : left + side])
    return crop.resize((_CELL, _CELL), resampling)


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
