"""report.html of an image-level evaluation: figures, layers, discovered clusters, filters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from leopart_kit.data import BrokenSampleError
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.evaluation import ClusterView, ImageLevelResult
from leopart_kit.image_level.report import wording as image_level_wording
from leopart_kit.image_level.report.filters import filters_uri
from leopart_kit.report import wording
from leopart_kit.report.page import PAGE_NAME, Section, page_environment
from leopart_kit.report.pictures import photo_uri
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)

MAX_CLUSTERS = 60
_THUMBNAIL = 96  # pixels


class Example(NamedTuple):
    """A picture of the gallery; `fits` says whether it is of the cluster's most frequent class."""

    uri: str
    name: str
    class_name: str
    fits: bool


class ShownCluster(NamedTuple):
    """A cluster with its pictures and its classes as `(name, images, percent)`."""

    view: ClusterView
    classes: list[tuple[str, int, float]]
    examples: list[Example]


def write_image_level_page(
    result: ImageLevelResult,
    test: ClassificationDataset,
    output_dir: str | Path,
    *,
    filters: Tensor | None = None,
    command: str | None = None,
) -> Path:
    """Write `report.html` and return its path.

    Args:
        test: the images that were scored, from which the gallery takes its pictures.
        filters: weights of the first convolution, `[C, 3, k, k]`, drawn where given.
        command: the command line that repeats the run.

    Raises:
        ValueError: the folder cannot be written.
        OSError: the page cannot be written; carries its name.
    """
    path = writable_output_dir(output_dir) / PAGE_NAME
    html = render_image_level_page(result, test, filters=filters, command=command)
    write_whole_text(path, html)
    return path


def render_image_level_page(
    result: ImageLevelResult,
    test: ClassificationDataset,
    *,
    filters: Tensor | None = None,
    command: str | None = None,
) -> str:
    """The page of `write_image_level_page` as text."""
    sections = [
        Section("scores", "Scores", "image_level_scores.html", {}),
        *_layers(result),
        *_clusters(result, test),
        *_filters(filters),
        Section("meaning", "What these figures mean", "image_level_meaning.html", {}),
        Section("run", "The run", "run.html", _run(result, command)),
    ]
    environment = page_environment()
    environment.globals["words"] = image_level_wording
    template = environment.get_template("image_level.html")
    return template.render(result=result, sections=sections)


def _layers(result: ImageLevelResult) -> list[Section]:
    scores = result.of("linear")
    if len(scores) < 2:
        return []
    data = {
        "rows": scores,
        "best": max(score.mean for score in scores),
        "chosen": [(score.variant, image_level_wording.chosen(score)) for score in scores],
    }
    return [Section("layers", "Layers", "image_level_layers.html", data)]


def _clusters(result: ImageLevelResult, test: ClassificationDataset) -> list[Section]:
    if not result.clusters:
        return []
    names = result.dataset.class_names
    labels = test.labels
    rows = _readable_rows(result, test)
    shown = []
    for view in result.clusters[:MAX_CLUSTERS]:
        examples = []
        for row in view.examples:
            index = rows[row]
            try:
                picture = test.load_image(index)
            except BrokenSampleError as error:
                logger.warning("not on the page: %s", error)
                continue
            name = test.class_names[labels[index]]
            fits = name == names[view.classes[0][0]]
            examples.append(Example(_thumbnail(picture), test.names[index], name, fits))
        classes = [(names[c], count, 100 * count / view.size) for c, count in view.classes[:3]]
        shown.append(ShownCluster(view, classes, examples))
    data = {"clusters": shown, "num_hidden": max(0, len(result.clusters) - MAX_CLUSTERS)}
    return [Section("clusters", "Discovered clusters", "image_level_clusters.html", data)]


def _readable_rows(result: ImageLevelResult, test: ClassificationDataset) -> list[int]:
    """Indices in the data set of the images that were scored, in order."""
    broken = {item["name"] for item in result.dataset.broken if item["split"] == test.split}
    return [index for index, name in enumerate(test.names) if name not in broken]


def _thumbnail(image: Tensor) -> str:
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    width, height = picture.size
    scale = _THUMBNAIL / min(width, height)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return photo_uri(np.asarray(picture))


def _filters(weight: Tensor | None) -> list[Section]:
    if weight is None:
        return []
    data = {"uri": filters_uri(weight), "shape": tuple(weight.shape)}
    return [Section("filters", "First filters", "image_level_filters.html", data)]


def _run(result: ImageLevelResult, command: str | None) -> dict[str, Any]:
    data = result.dataset
    return {
        "command": command,
        "dataset": [
            ("set", data.name),
            ("folder", data.root),
            ("train", f"{data.train_split}, {data.num_train:,} images"),
            ("test", f"{data.test_split}, {data.num_test:,} images"),
        ],
        "details": [],
        "settings": wording.flatten(result.settings),
        "timing": [(name, wording.duration(s)) for name, s in result.timing_seconds.items()],
    }
