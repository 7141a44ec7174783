"""What the page shows of one image: its panels and which classes they contain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation.result import Sample
from leopart_kit.report.pictures import css_colour, label_uri, photo_uri, shrunk_size

_MAX_LEGEND = 8


@dataclass(frozen=True)
class Panel:
    """One picture with its caption and its text for those who cannot see it."""

    caption: str
    alt: str
    uri: str


@dataclass(frozen=True)
class LegendEntry:
    """A class in a picture; `colour` is None for pixels of no class, which are hatched."""

    name: str
    colour: str | None


@dataclass(frozen=True)
class SampleView:
    """One image: panels of the same size in pixels, legend, share of labelled pixels right."""

    name: str
    size: tuple[int, int]  # (width, height) of the panels
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...]
    num_more: int  # classes the legend leaves out, the smallest
    num_clusters: int | None  # None where classes were predicted directly
    accuracy: float | None  # percent, at the image's own size


def sample_views(
    samples: Sequence[Sample], class_names: Sequence[str], palette: np.ndarray
) -> list[SampleView]:
    """Views of all samples; a cluster has the same colour in each of them."""
    highest = [int(sample.clusters.max()) for sample in samples if sample.clusters is not None]
    colours = cluster_palette(max(1, 1 + max(highest, default=0)))
    return [_view(sample, class_names, palette, colours) for sample in samples]


def _view(
    sample: Sample, class_names: Sequence[str], palette: np.ndarray, cluster_colours: np.ndarray
) -> SampleView:
    panels = [Panel("Image", f"Photo {sample.name}", photo_uri(sample.image))]
    for caption, labels in (("Ground truth", sample.target), ("Prediction", sample.prediction)):
        if labels is not None:
            found = ", ".join(class_names[c] for c in _by_area([labels], len(class_names)))
            alt = f"{caption} of {sample.name}: {found or 'no class'}"
            panels.append(Panel(caption, alt, label_uri(labels, palette)))
    num_clusters = None
    if sample.clusters is not None:
        num_clusters = int((np.unique(sample.clusters) >= 0).sum())
        alt = f"Raw clusters of {sample.name}: {num_clusters} different"
        panels.append(Panel("Clusters", alt, label_uri(sample.clusters, cluster_colours)))
    height, width = shrunk_size(*sample.image.shape[:2])
    legend = _legend(sample, class_names, palette)
    return SampleView(
        name=sample.name,
        size=(width, height),
        panels=tuple(panels),
        legend=legend[:_MAX_LEGEND],
        num_more=max(0, len(legend) - _MAX_LEGEND),
        num_clusters=num_clusters,
        accuracy=sample_accuracy(sample, len(class_names)),
    )


def _legend(
    sample: Sample, class_names: Sequence[str], palette: np.ndarray
) -> tuple[LegendEntry, ...]:
    maps = [labels for labels in (sample.target, sample.prediction) if labels is not None]
    entries = [
        LegendEntry(class_names[c], css_colour(palette[c]))
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


def sample_accuracy(sample: Sample, num_classes: int) -> float | None:
    """Percent of the labelled pixels that are predicted rightly; None where nothing is labelled."""
    if sample.target is None or sample.prediction is None:
        return None
    labelled = _is_class(sample.target, num_classes)
    if not labelled.any():
        return None
    return 100 * float((sample.target == sample.prediction)[labelled].mean())
