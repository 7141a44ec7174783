"""One image on the page: its panels, and the IoU of the classes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from leopart_kit.data.palettes import class_palette, cluster_palette
from leopart_kit.evaluation.result import Sample
from leopart_kit.report.cluster_colours import agreeing_ids
from leopart_kit.report.pictures import (
    css_colour,
    label_uri,
    photo_uri,
    shrink_labels,
    shrunk_size,
)

_MAX_LEGEND = 10


@dataclass(frozen=True)
class Panel:
    """One picture with its caption and its text for those who cannot see it."""

    caption: str
    alt: str
    uri: str
    kind: Literal["photo", "classes", "clusters"] = "photo"


@dataclass(frozen=True)
class LegendEntry:
    """A class in a picture with its IoU, one a stage and in percent, where there is a truth.

    `colour` is None for pixels of no class, which are hatched.
    """

    name: str
    colour: str | None
    ious: tuple[float, ...] = ()
    predicted_only: bool = False


@dataclass(frozen=True)
class SampleView:
    """One image: panels of the same size in pixels, and how well its classes were found.

    `ious` holds, for each stage (one, or before and after a training), the IoU in percent of each
    class by id; `mious` their mean over the classes of the image's ground truth.
    """

    name: str
    size: tuple[int, int]  # (width, height) of the panels
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...]
    num_more: int  # classes the legend leaves out, the smallest
    num_clusters: int | None  # None where classes were predicted directly
    ious: tuple[dict[int, float], ...]  # empty without ground truth
    mious: tuple[float, ...]


def sample_views(
    samples: Sequence[Sample],
    class_names: Sequence[str],
    before: Sequence[Sample] = (),
) -> list[SampleView]:
    """Views of all samples; a cluster has the same colour in each of them.

    Args:
        before: the same images before a training, in the same order, where there was one: a
            cluster then has the colour of the one before that it shares the most pixels with.

    Raises:
        ValueError: `before` shows other images.
    """
    stages = [list(samples)]
    if before:
        stages = [list(before), _with_agreeing_clusters(before, samples)]
    clusters = [s.clusters for stage in stages for s in stage if s.clusters is not None]
    colours = cluster_palette(1 + max((int(m.max()) for m in clusters), default=0))
    return [_view(shown, class_names, colours) for shown in zip(*stages, strict=True)]


def _with_agreeing_clusters(before: Sequence[Sample], after: Sequence[Sample]) -> list[Sample]:
    names = [sample.name for sample in before], [sample.name for sample in after]
    if names[0] != names[1]:
        raise ValueError(
            f"the samples before show {', '.join(names[0]) or 'nothing'}, those after "
            f"{', '.join(names[1]) or 'nothing'}; give the same images in the same order"
        )
    maps = [[s.clusters for s in stage if s.clusters is not None] for stage in (before, after)]
    if not maps[0] or not maps[1]:
        return list(after)
    ids = agreeing_ids(*([shrink_labels(m) for m in stage] for stage in maps))
    # Clusters of less than a pixel of the page occur in no picture.
    found = 1 + max(int(m.max()) for m in maps[1])
    ids = np.concatenate([ids, max(ids, default=-1) + 1 + np.arange(max(0, found - len(ids)))])
    return [
        replace(sample, clusters=np.where(labels >= 0, ids[labels], -1))
        for sample, labels in zip(after, maps[1], strict=True)
    ]


def _view(
    stages: Sequence[Sample], class_names: Sequence[str], cluster_colours: np.ndarray
) -> SampleView:
    last = stages[-1]
    height, width = shrunk_size(*last.image.shape[:2])
    ious = [image_ious(s.target, s.prediction, len(class_names)) for s in stages]
    scored = tuple(found for found in ious if found is not None)
    truth = [] if last.target is None else _by_area([last.target], len(class_names))
    legend = _legend(stages, class_names, scored if truth else (), truth)
    shown = None if last.clusters is None else int((np.unique(last.clusters) >= 0).sum())
    return SampleView(
        name=last.name,
        size=(width, height),
        panels=tuple(_panels(stages, class_names, cluster_colours)),
        legend=legend[:_MAX_LEGEND],
        num_more=max(0, len(legend) - _MAX_LEGEND),
        num_clusters=shown,
        ious=scored if truth else (),
        mious=tuple(float(np.mean([found[c] for c in truth])) for found in scored if truth),
    )


def _panels(
    stages: Sequence[Sample], class_names: Sequence[str], cluster_colours: np.ndarray
) -> list[Panel]:
    last = stages[-1]
    whens = [""] if len(stages) == 1 else [" before", " after"]
    colours = class_palette(class_names)

    def of_classes(caption: str, labels: np.ndarray) -> Panel:
        found = ", ".join(class_names[c] for c in _by_area([labels], len(class_names)))
        alt = f"{caption} of {last.name}: {found or 'no class'}"
        return Panel(caption, alt, label_uri(labels, colours), "classes")

    panels = [Panel("Image", f"Photo {last.name}", photo_uri(last.image))]
    if last.target is not None:
        panels.append(of_classes("Ground truth", last.target))
    for when, sample in zip(whens, stages, strict=True):
        if sample.prediction is not None:
            panels.append(of_classes(f"Prediction{when}", sample.prediction))
    for when, sample in zip(whens, stages, strict=True):
        if sample.clusters is not None:
            number = int((np.unique(sample.clusters) >= 0).sum())
            alt = f"Clusters{when} of {last.name}: {number} different"
            uri = label_uri(sample.clusters, cluster_colours)
            panels.append(Panel(f"Clusters{when}", alt, uri, "clusters"))
    return panels


def _legend(
    stages: Sequence[Sample],
    class_names: Sequence[str],
    ious: Sequence[dict[int, float]],
    truth: Sequence[int],
) -> tuple[LegendEntry, ...]:
    colours = class_palette(class_names)
    maps = [stages[-1].target, *(sample.prediction for sample in stages)]
    maps = [labels for labels in maps if labels is not None]
    entries = [
        LegendEntry(
            class_names[c],
            css_colour(colours[c]),
            tuple(found.get(c, 0.0) for found in ious),
            predicted_only=bool(ious) and c not in truth,
        )
        for c in _by_area(maps, len(class_names))
    ]
    if any(not _is_class(labels, len(class_names)).all() for labels in maps):
        entries.insert(min(len(entries), _MAX_LEGEND - 1), LegendEntry("ignored or no class", None))
    return tuple(entries)


def _is_class(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return (labels >= 0) & (labels < num_classes)


def _by_area(maps: Sequence[np.ndarray], num_classes: int) -> list[int]:
    """Classes that occur in any of the maps, the largest first."""
    if not maps:
        return []
    labels = np.concatenate([labels[_is_class(labels, num_classes)] for labels in maps])
    areas = np.bincount(labels.ravel(), minlength=num_classes)
    return [int(c) for c in np.argsort(-areas, kind="stable") if areas[c]]


def image_ious(
    target: np.ndarray | None, prediction: np.ndarray | None, num_classes: int
) -> dict[int, float] | None:
    """IoU in percent of every class of one image that is in its truth or its prediction.

    Pixels without a class in the ground truth count nowhere. None where there is no truth, or
    nothing is labelled or predicted.
    """
    if target is None or prediction is None:
        return None
    labelled = _is_class(target, num_classes)
    if not labelled.any():
        return None
    truth, found = target[labelled], prediction[labelled]
    known = _is_class(found, num_classes)
    areas = np.bincount(truth, minlength=num_classes)
    areas += np.bincount(found[known], minlength=num_classes)
    hits = np.bincount(truth[truth == found], minlength=num_classes)
    present = np.flatnonzero(areas)
    return {int(c): 100 * float(hits[c] / (areas[c] - hits[c])) for c in present}
