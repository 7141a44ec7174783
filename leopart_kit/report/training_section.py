"""What a training changed, as a section of the page: scores, curves, and clusters side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.evaluation.result import Result, Sample, ScoreTable
from leopart_kit.metrics import PairedComparison, paired_bootstrap
from leopart_kit.report import wording
from leopart_kit.report.cluster_colours import agreeing_ids
from leopart_kit.report.curves import (
    Chart,
    ChartView,
    Series,
    chart_view,
    different,
    read_series,
)
from leopart_kit.report.page import Section
from leopart_kit.report.pictures import label_uri, photo_uri, shrink_labels, shrunk_size
from leopart_kit.report.sample_view import Panel, sample_accuracy

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ComparisonRow:
    """One metric before and after, and its change in points, all in words."""

    metric: str
    scored_at: str
    before: str
    before_interval: str
    after: str
    after_interval: str
    change: str
    change_interval: str | None  # None where the two cannot be compared image by image


@dataclass(frozen=True)
class ChangeView:
    """One image before and after; `panels` by their place in the grid."""

    name: str
    size: tuple[int, int]  # (width, height) of the panels
    panels: Mapping[str, Panel]
    accuracy: tuple[float, float] | None  # percent of its labelled pixels, before and after


def training_section(
    metrics: Rows,
    before: Result,
    after: Result,
    samples_before: Sequence[Sample],
    samples_after: Sequence[Sample],
    colours: np.ndarray,
) -> Section:
    """The section of `write_page` that shows what a training changed; works without ground truth.

    Args:
        metrics: logged rows, each with `step`; curves are drawn of `loss`,
            `loss_over_log_prototypes`, `learning_rate/…`, `prototypes_used`, `assignment_entropy`,
            `usage_entropy` and `evaluation/…`, of those that are there.
        before, after: the encoder evaluated without and with the training, by the same protocol.
        samples_before, samples_after: the same images in the same order.
        colours: uint8 `[n, 3]`, colours of the classes, n at least their number.

    Raises:
        ValueError: the samples show different images.
    """
    rows = comparison(before, after)
    data = {
        "rows": rows,
        "num_seeds": len(after.metrics["miou"].per_seed) if after.scores else 0,
        "paired": any(row.change_interval is not None for row in rows),
        "charts": training_charts(metrics, before, after),
        "samples": change_views(samples_before, samples_after, after.dataset.class_names, colours),
    }
    return Section("training", "What the training changed", "training.html", data)


def comparison(before: Result, after: Result) -> list[ComparisonRow]:
    """Every metric at every resolution and refinement that both results have."""
    earlier = {(table.resolution, table.refinement): table for table in before.scores}
    rows = []
    for table in after.scores:
        partner = earlier.get((table.resolution, table.refinement))
        if partner is not None:
            rows += _compare_tables(partner, table, _paired(before, after, table))
    return rows


def _paired(before: Result, after: Result, table: ScoreTable) -> PairedComparison | None:
    """After minus before, where both have counts of the same images."""
    if table.refinement != "none" or before.image_names != after.image_names:
        return None
    if not all(table.resolution in result.per_image for result in (before, after)):
        return None
    return paired_bootstrap(after.per_image[table.resolution], before.per_image[table.resolution])


def _compare_tables(
    before: ScoreTable, after: ScoreTable, paired: PairedComparison | None
) -> list[ComparisonRow]:
    rows = []
    for key, title in wording.METRIC_NAMES.items():
        first, second = getattr(before, key), getattr(after, key)
        interval = None
        if paired is not None:
            low, high = getattr(paired, key).interval
            interval = f"{wording.signed(low)} to {wording.signed(high)}"
        rows.append(
            ComparisonRow(
                metric=title,
                scored_at=wording.table_title(after.resolution, after.refinement),
                before=wording.rate_and_spread(first),
                before_interval=wording.interval(first.ci95),
                after=wording.rate_and_spread(second),
                after_interval=wording.interval(second.ci95),
                change=wording.signed(second.mean - first.mean),
                change_interval=interval,
            )
        )
    return rows


def training_charts(metrics: Rows, before: Result, after: Result) -> list[ChartView]:
    """Charts of what was logged at two steps or more."""
    log_k = _log_num_prototypes(metrics)
    ln_k = None if log_k is None else (f"ln K = {log_k:.2f}", log_k)
    number = None if log_k is None else round(math.exp(log_k))
    every = None if number is None else (f"all {number}", float(number))
    rates = dict.fromkeys(key for row in metrics for key in row if key.startswith("learning_rate/"))
    entropies = {"assignment_entropy": "of one patch", "usage_entropy": "of all patches"}
    charts = [
        Chart("Loss", "nats", (read_series(metrics, "loss", "loss"),), ln_k, noisy=True),
        Chart("mIoU on the way", "percent", _evaluations(metrics, before, after)),
        Chart(
            "Prototypes in use",
            "number",
            (read_series(metrics, "prototypes_used", "prototypes"),),
            every,
            from_zero=True,
        ),
        Chart(
            "Entropy of the assignments",
            "nats",
            different([read_series(metrics, key, name) for key, name in entropies.items()]),
            ln_k,
            from_zero=True,
        ),
        Chart(
            "Learning rate",
            "rate",
            different([read_series(metrics, key, key.split("/", 1)[1]) for key in rates]),
            from_zero=True,
        ),
    ]
    return [chart_view(c) for c in charts if c.series and all(len(s.points) > 1 for s in c.series)]


def _log_num_prototypes(metrics: Rows) -> float | None:
    """ln K, from a row that has the loss and its ratio to ln K."""
    for row in metrics:
        loss, ratio = row.get("loss"), row.get("loss_over_log_prototypes")
        if loss and ratio:
            return loss / ratio
    return None


def _evaluations(metrics: Rows, before: Result, after: Result) -> tuple[Series, ...]:
    """mIoU before, during and after; none where nothing was evaluated on the way."""
    last = max((row["step"] for row in metrics), default=0)
    found = []
    for key in ("miou_present", "miou"):
        title = wording.METRIC_NAMES[key]
        during = read_series(metrics, f"evaluation/{key}", title).points
        during = tuple(point for point in during if 0 < point[0] < last)
        if during and before.scores and after.scores:
            ends = (0.0, before.metrics[key].mean), (float(last), after.metrics[key].mean)
            found.append(Series(title, (ends[0], *during, ends[1])))
    return different(found)


def change_views(
    before: Sequence[Sample],
    after: Sequence[Sample],
    class_names: Sequence[str],
    colours: np.ndarray,
) -> list[ChangeView]:
    """Images with their clusters before and after, colours agreeing where clusters overlap."""
    names = [sample.name for sample in before], [sample.name for sample in after]
    if names[0] != names[1]:
        raise ValueError(
            f"samples_before show {', '.join(names[0]) or 'nothing'}, samples_after "
            f"{', '.join(names[1]) or 'nothing'}; give the same images in the same order"
        )
    if not before:
        return []
    maps = [
        [shrink_labels(_shown_labels(sample)) for sample in samples] for samples in (before, after)
    ]
    ids = agreeing_ids(*maps)
    recoloured = [np.where(m >= 0, ids[m], m) for m in maps[1]]
    num_colours = 1 + max(int(m.max()) for m in (*maps[0], *recoloured))
    palette = cluster_palette(max(1, num_colours))
    return [
        _change_view(first, second, (clusters, others), palette, class_names, colours)
        for first, second, clusters, others in zip(before, after, maps[0], recoloured, strict=True)
    ]


def _shown_labels(sample: Sample) -> np.ndarray:
    labels = sample.prediction if sample.clusters is None else sample.clusters
    if labels is None:
        raise ValueError(f"sample {sample.name} has neither clusters nor a prediction")
    return labels


def _change_view(
    before: Sample,
    after: Sample,
    clusters: tuple[np.ndarray, np.ndarray],
    palette: np.ndarray,
    class_names: Sequence[str],
    colours: np.ndarray,
) -> ChangeView:
    name = before.name
    panels = {"photo": Panel("Image", f"Photo {name}", photo_uri(before.image))}
    if before.target is not None:
        uri = label_uri(before.target, colours[: len(class_names)])
        panels["truth"] = Panel("Ground truth", f"Ground truth of {name}", uri)
    for when, sample, labels in zip(("before", "after"), (before, after), clusters, strict=True):
        number = int((np.unique(labels) >= 0).sum())
        alt = f"Clusters of {name} {when} the training: {number} different"
        panels[f"clusters-{when}"] = Panel(f"Clusters {when}", alt, label_uri(labels, palette))
        if sample.prediction is not None:
            uri = label_uri(sample.prediction, colours[: len(class_names)])
            alt = f"Prediction of {name} {when} the training"
            panels[f"prediction-{when}"] = Panel(f"Prediction {when}", alt, uri)
    height, width = shrunk_size(*before.image.shape[:2])
    accuracies = [sample_accuracy(sample, len(class_names)) for sample in (before, after)]
    accuracy = None
    if accuracies[0] is not None and accuracies[1] is not None:
        accuracy = accuracies[0], accuracies[1]
    return ChangeView(name, (width, height), panels, accuracy)
