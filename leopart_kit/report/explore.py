"""Patches that are compared live: a section of pages, and a page of its own for an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.drawing import fit_labels
from leopart_kit.evaluation.result import Result, Sample
from leopart_kit.report.cluster_colours import agreeing_ids
from leopart_kit.report.page import Section, page_environment, scripts_of
from leopart_kit.report.pictures import bytes_text, css_colour, photo_uri, shrunk_size
from leopart_kit.report.reduced_tokens import pca_colours, reduce_tokens
from leopart_kit.report.results_json import writable_output_dir
from leopart_kit.whole_file import write_whole_text

PAGE_NAME = "explore.html"

_MAX_BYTES = 3_000_000  # of tokens, a third more as text; photographs come on top
_FEWEST_COMPONENTS = 24  # a page shows fewer images rather than less of each token


@dataclass(frozen=True)
class Stage:
    """One encoder's view of all images: tokens `[h, w, D]` and clusters `[h', w']` of each.

    Clusters below 0 are none; `caption` tells apart the stages of a page.
    """

    caption: str
    tokens: Sequence[np.ndarray]
    clusters: Sequence[np.ndarray] | None = None


@dataclass(frozen=True)
class ClusterFacts:
    """Facts about clusters: names by id, and edges `(id, id, weight)` of their graph."""

    names: Sequence[str] = ()
    edges: Sequence[tuple[int, int, float]] = ()


def explore_section(
    names: Sequence[str],
    images: Sequence[np.ndarray],
    stages: Sequence[Stage],
    facts: ClusterFacts | None = None,
) -> Section:
    """Images whose patches are compared where the pointer is.

    Args:
        names, images: of all images, uint8 RGB `[H, W, 3]`.
        stages: one encoder, or several on the same images, such as before and after a training.
        facts: of the clusters of all stages.

    Raises:
        ValueError: no image, or stages of other images.
    """
    number = len(images)
    if not number or not stages:
        raise ValueError("nothing to explore: give at least one image and the tokens of it")
    if any(len(stage.tokens) != number for stage in stages) or len(names) != number:
        raise ValueError(f"{number} images need as many names, and tokens in every stage")
    shown = _shown(stages)
    views = [_stage_view(stage, shown, len(stages)) for stage in stages]
    facts = facts or ClusterFacts()
    highest = max((view["highest"] for view in views), default=-1)
    data = {
        "images": [
            {"name": names[i], "uri": photo_uri(images[i]), "size": _size(images[i])} for i in shown
        ],
        "stages": [stage.caption for stage in stages],
        "clustered": highest >= 0,
        "error": max(view["error"] for view in views),
        "numbers": {
            "stages": views,
            "names": list(facts.names),
            "edges": [[int(a), int(b), round(float(w), 4)] for a, b, w in facts.edges if a != b],
            "colours": [css_colour(c) for c in cluster_palette(max(1, highest + 1))],
        },
    }
    return Section("explore", "Explore", "explore.html", data, "explore.js")


def explore_result(
    result: Result,
    samples: Sequence[Sample],
    tokens: Sequence[np.ndarray],
    before: tuple[Sequence[Sample], Sequence[np.ndarray]] | None = None,
) -> list[Section]:
    """The section of an evaluation, none without tokens; `before` is of before a training."""
    if not len(tokens):
        return []
    clusters, facts = _clusters(result, samples)
    stages = [Stage("after" if before else "", tokens, clusters)]
    if before is not None:
        earlier = _sample_clusters(before[0])
        if earlier is not None and clusters is not None:
            ids = agreeing_ids(earlier, clusters)
            facts = ClusterFacts()
            stages = [Stage("after", tokens, [ids[labels] for labels in clusters])]
        stages.insert(0, Stage("before", before[1], earlier))
    images = [sample.image for sample in samples]
    return [explore_section([sample.name for sample in samples], images, stages, facts)]


def write_explore_page(
    section: Section, path: str | Path, title: str, command: str | None = None
) -> Path:
    """A page of `explore_section` alone; returns its path.

    Args:
        command: the command line that repeats the run.

    Raises:
        ValueError: its folder cannot be written.
        OSError: the page cannot be written; carries its name.
    """
    path = Path(path)
    html = (
        page_environment()
        .get_template("explore_page.html")
        .render(section=section, title=title, command=command, scripts=scripts_of([section]))
    )
    writable_output_dir(path.parent)
    write_whole_text(path, html)
    return path


def _clusters(
    result: Result, samples: Sequence[Sample]
) -> tuple[list[np.ndarray] | None, ClusterFacts]:
    """Parts and their graph where the result has one, else the clusters with their classes."""
    if result.objects is not None:
        rows = [result.image_names.index(sample.name) for sample in samples]
        objects = result.objects.object_of_part
        names = [
            f"part {part}" + (f" of object {item}" if item else "")
            for part, item in enumerate(objects.tolist())
        ]
        maps = [result.objects.part_maps[row].astype(np.int64) for row in rows]
        return maps, ClusterFacts(["background", *names[1:]], result.objects.edges)
    if result.matching is None:
        return _sample_clusters(samples), ClusterFacts()
    classes = next(iter(result.matching.cluster_to_class.values()))
    named = [result.dataset.class_names[c] if c >= 0 else "no class" for c in classes]
    names = [f"cluster {index}: {name}" for index, name in enumerate(named)]
    return _sample_clusters(samples), ClusterFacts(names)


def _sample_clusters(samples: Sequence[Sample]) -> list[np.ndarray] | None:
    found = [sample.clusters for sample in samples if sample.clusters is not None]
    return found if found and len(found) == len(samples) else None


def _shown(stages: Sequence[Stage]) -> list[int]:
    """As many images as fit, spread over all."""
    number = len(stages[0].tokens)
    most = _MAX_BYTES // _FEWEST_COMPONENTS
    for count in range(number, 1, -1):
        rows = np.unique(np.linspace(0, number - 1, count).round().astype(int)).tolist()
        if sum(np.prod(s.tokens[row].shape[:2]) for s in stages for row in rows) <= most:
            return rows
    return [0]


def _stage_view(stage: Stage, shown: Sequence[int], num_stages: int) -> dict[str, Any]:
    tokens = [stage.tokens[row] for row in shown]
    flat = np.concatenate([t.reshape(-1, t.shape[-1]) for t in tokens])
    reduced = reduce_tokens(flat, max(len(flat), _MAX_BYTES // num_stages))
    view: dict[str, Any] = {
        "grids": [list(t.shape[:2]) for t in tokens],
        "scales": [float(f"{scale:.6g}") for scale in reduced.scales],
        "values": bytes_text(reduced.values),
        "pca": bytes_text(pca_colours(flat)),
        "clusters": None,
        "error": reduced.error,
        "highest": -1,
    }
    if stage.clusters is not None:
        maps = [fit_labels(stage.clusters[row], stage.tokens[row].shape[:2]) for row in shown]
        ids = np.concatenate([labels.ravel() for labels in maps])
        view |= {"clusters": bytes_text(ids.astype("<i4")), "highest": int(ids.max(initial=-1))}
    return view


def _size(image: np.ndarray) -> tuple[int, int]:
    height, width = shrunk_size(*image.shape[:2])
    return width, height
