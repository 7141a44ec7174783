"""report.html: one self-contained page that shows a result to a person.

The page is a list of sections; each is a small template that gets its own data. A new kind of
result adds a `Section` and a template beside the others.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leopart_kit.data.palettes import class_palette, cluster_palette
from leopart_kit.evaluation.result import Matching, Result, Sample
from leopart_kit.report import wording
from leopart_kit.report.comparison import comparison
from leopart_kit.report.confusion_view import confusion_view
from leopart_kit.report.pictures import css_colour
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.report.sample_view import sample_views
from leopart_kit.whole_file import write_whole_text

PAGE_NAME = "report.html"

# Details that the section on objects shows.
_OF_OBJECTS = {
    "comparison",
    "chosen",
    "tried",
    "tried_foreground_iou",
    "communities",
    "foreground",
    "boundary",
}


@dataclass(frozen=True)
class Section:
    """A part of the page: `template` in `templates/` is rendered with `data` as its variables.

    `script` is a file of `templates/` that the page runs.
    """

    anchor: str
    title: str
    template: str
    data: Mapping[str, Any]
    script: str | None = None


class Script(NamedTuple):
    """A script of a page, and what the page's policy calls it."""

    source: Markup
    sha256: str

    @classmethod
    def read(cls, *names: str) -> Script:
        """One script of files of `templates/`, one after another."""
        folder = files("leopart_kit.report.templates")
        source = "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
        digest = hashlib.sha256(source.encode()).digest()
        return cls(Markup(source), base64.b64encode(digest).decode())


def write_page(
    result: Result,
    samples: Sequence[Sample],
    output_dir: str | Path,
    *,
    samples_before: Sequence[Sample] = (),
    command: str | None = None,
    opening: Section | None = None,
    sections: Sequence[Section] = (),
) -> Path:
    """Write `report.html` and return its path.

    Args:
        result: what was measured; without scores the page shows clusters only.
        samples: images to show, in this order.
        output_dir: folder that receives the page.
        samples_before: the same images before a training, shown beside them.
        command: the command line that repeats the run.
        opening: what the page begins with, instead of the figures of the result.
        sections: further parts, shown after the pictures.

    Raises:
        ValueError: the folder cannot be written, or `samples_before` shows other images.
        OSError: the page cannot be written; carries its name.
    """
    path = writable_output_dir(output_dir) / PAGE_NAME
    html = render_page(
        result,
        samples,
        samples_before=samples_before,
        command=command,
        opening=opening,
        sections=sections,
    )
    write_whole_text(path, html)
    return path


def render_page(
    result: Result,
    samples: Sequence[Sample],
    *,
    samples_before: Sequence[Sample] = (),
    command: str | None = None,
    opening: Section | None = None,
    sections: Sequence[Section] = (),
) -> str:
    """The page of `write_page` as text."""
    parts = [
        *([Section("scores", "Scores", "scores.html", {})] if result.scores else []),
        *_published_section(result),
        *_comparison_section(result),
        *_picture_section(result, samples, samples_before),
        *sections,
        *(_class_sections(result) if result.scores else []),
        Section("meaning", "What these figures mean", "meaning.html", {}),
        Section("run", "The run", "run.html", _run_data(result, command)),
    ]
    template = page_environment().get_template("page.html")
    return template.render(
        result=result, opening=opening, sections=parts, scripts=scripts_of(parts)
    )


def scripts_of(sections: Sequence[Section]) -> list[Script]:
    """The scripts that sections need, each once."""
    names = dict.fromkeys(section.script for section in sections if section.script)
    return [Script.read(name) for name in names]


def _published_section(result: Result) -> list[Section]:
    if not result.scores or result.benchmark is None or not result.benchmark.published:
        return []
    data = {"benchmark": result.benchmark}
    return [Section("published", "Published figures", "published.html", data)]


def _comparison_section(result: Result) -> list[Section]:
    rows = comparison(result)
    if result.objects is not None or len(rows) < 2:  # objects have a section that holds them
        return []
    return [Section("comparison", "Beside it", "comparison.html", {"rows": rows})]


def _picture_section(
    result: Result, samples: Sequence[Sample], before: Sequence[Sample]
) -> list[Section]:
    if not samples:
        return []
    names = result.dataset.class_names
    views = sample_views(samples, names, before)
    highest = [
        int(sample.clusters.max()) for sample in (*samples, *before) if sample.clusters is not None
    ]
    data = {
        "samples": views,
        "trained": bool(before),
        "scored": any(view.mious for view in views),
        "colours": {
            "classes": [css_colour(colour) for colour in class_palette(names)],
            "class_names": names,
            "clusters": [
                css_colour(colour) for colour in cluster_palette(1 + max(highest, default=0))
            ],
        },
        "classes": sorted({c for view in views for found in view.ious for c in found}),
    }
    return [Section("pictures", "Pictures", "pictures.html", data, "pictures.js")]


def _class_sections(result: Result) -> list[Section]:
    headline = result.scores[0]
    colours = class_palette(result.dataset.class_names)
    present = sorted((s for s in headline.per_class if s.pixels), key=lambda s: (-s.iou, s.id))
    absent = [score.name for score in headline.per_class if not score.pixels]
    total = sum(score.pixels for score in present)
    swatches = {score.id: css_colour(colours[score.id]) for score in present}
    data = {"classes": present, "absent": absent, "total": total, "swatches": swatches}
    found = [Section("classes", "Classes", "classes.html", data)]
    if result.confusion is not None and result.confusion.any():
        view = confusion_view(result.confusion, result.dataset.class_names)
        found.append(Section("confusion", "Confusion", "confusion.html", {"view": view}))
    if result.matching:
        data = _matching_data(result.matching, result.dataset.class_names, colours)
        found.append(Section("matching", "Clusters and classes", "matching.html", data))
    return found


def _matching_data(
    matching: Matching, class_names: Sequence[str], colours: np.ndarray
) -> dict[str, Any]:
    """Clusters of each class for the first seed, and those without a class at the end."""
    classes = np.array(next(iter(matching.cluster_to_class.values())))
    cluster_colours = cluster_palette(len(classes))

    def row(class_id: int, name: str, colour: str | None) -> dict[str, Any]:
        clusters = [
            {"id": int(cluster), "colour": css_colour(cluster_colours[cluster])}
            for cluster in np.flatnonzero(classes == class_id)
        ]
        return {"name": name, "colour": colour, "clusters": clusters}

    rows = [row(c, name, css_colour(colours[c])) for c, name in enumerate(class_names)]
    if (classes < 0).any():
        rows.append(row(-1, "no class", None))
    return {"rows": rows, "num_clusters": len(classes)}


def _run_data(result: Result, command: str | None) -> dict[str, Any]:
    shown = _OF_OBJECTS if result.objects is not None else {"comparison"}
    return {
        "command": command,
        "dataset": [
            ("set", result.dataset.name),
            ("split", result.dataset.split),
            ("label set", result.dataset.label_set or "its own"),
            ("folder", result.dataset.root),
            ("images", f"{result.dataset.num_images:,}"),
        ],
        "settings": wording.flatten(result.settings),
        "details": wording.flatten({k: v for k, v in result.details.items() if k not in shown}),
        "timing": [(name, wording.duration(s)) for name, s in result.timing_seconds.items()],
    }


def page_environment() -> Environment:
    """The templates, with the functions of `wording` in them; a variable not given is an error."""
    environment = Environment(
        loader=PackageLoader("leopart_kit.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["wording"] = wording
    return environment
