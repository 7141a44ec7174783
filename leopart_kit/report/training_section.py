"""Effect of a training, as the opening and a section of the page: scores and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from leopart_kit.evaluation.result import Result, ScoreTable
from leopart_kit.metrics import PairedComparison, paired_bootstrap
from leopart_kit.report import wording
from leopart_kit.report.curves import (
    Chart,
    ChartView,
    Series,
    chart_view,
    different,
    read_series,
)
from leopart_kit.report.page import Section

Rows = Sequence[Mapping[str, Any]]


class EarlierRound(NamedTuple):
    """A training before the last one, which went on from it: its method, and what it logged."""

    method: str
    metrics: Rows


@dataclass(frozen=True)
class ComparisonRow:
    """One metric before and after, and its change in points, all in words.

    `direction` is `gain` or `loss` where the interval of the change leaves 0, else empty.
    """

    metric: str
    scored_at: str
    before: str
    before_interval: str
    after: str
    after_interval: str
    change: str
    change_interval: str | None  # None where the two cannot be compared image by image
    direction: Literal["gain", "loss", ""]


def training_opening(
    before: Result, after: Result, earlier: Sequence[EarlierRound] = ()
) -> Section:
    """Opening of a page on a training: the headline before and after, or that none was measured.

    Args:
        before, after, earlier: as of `training_section`.
    """
    rows = comparison(before, after)[: len(wording.METRIC_NAMES)]
    data = {
        "rows": rows,
        "paired": any(row.change_interval is not None for row in rows),
        "num_seeds": len(after.metrics["miou"].per_seed) if rows else 0,
        "methods": _methods(after, earlier),
    }
    return Section("change", "What the training changed", "training_opening.html", data)


def training_section(
    metrics: Rows,
    before: Result,
    after: Result,
    earlier: Sequence[EarlierRound] = (),
    encoder: str = "",
) -> Section:
    """The section of `write_page` on what a training changed; works without ground truth.

    Args:
        metrics: logged rows, each with `step`; curves are drawn of `loss`,
            `loss_over_log_prototypes`, `learning_rate/…`, `prototypes_used`, `assignment_entropy`,
            `usage_entropy` and `evaluation/…`, of those that are there.
        before, after: the encoder evaluated without and with the training, by the same protocol.
        earlier: rounds before the one that `metrics` are of, in their order.
        encoder: the words by which commands choose what was trained, if they are to be shown.
    """
    rows = comparison(before, after)
    charts = [training_charts(one.metrics, None, None) for one in earlier]
    charts.append(training_charts(metrics, None if earlier else before, after))
    data = {
        "rows": rows,
        "num_seeds": len(after.metrics["miou"].per_seed) if after.scores else 0,
        "paired": any(row.change_interval is not None for row in rows),
        "rounds": list(zip(_methods(after, earlier), charts, strict=True)),
        "encoder": encoder,
    }
    return Section("training", "The training", "training.html", data)


def _methods(after: Result, earlier: Sequence[EarlierRound]) -> list[str]:
    """The method of every round; of the last one as the settings have it."""
    last = (after.settings.get("method") or {}).get("name", "")
    return [*(one.method for one in earlier), last]


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
        interval, direction = None, ""
        if paired is not None:
            low, high = getattr(paired, key).interval
            direction = "gain" if low > 0 else "loss" if high < 0 else ""
            if wording.is_known(low) and wording.is_known(high):
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
                direction=direction,
            )
        )
    return rows


def training_charts(metrics: Rows, before: Result | None, after: Result | None) -> list[ChartView]:
    """Charts of what was logged at two steps or more.

    Args:
        before, after: measured at the ends of these steps, where that was done.
    """
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


def _evaluations(metrics: Rows, before: Result | None, after: Result | None) -> tuple[Series, ...]:
    """mIoU before, during and after; none where nothing was evaluated on the way."""
    last = max((row["step"] for row in metrics), default=0)
    found = []
    for key in ("miou_present", "miou"):
        title = wording.METRIC_NAMES[key]
        during = read_series(metrics, f"evaluation/{key}", title).points
        during = tuple(point for point in during if 0 < point[0] < last)
        if during:
            ends = [
                [] if end is None or not end.scores else [(float(step), end.metrics[key].mean)]
                for step, end in ((0, before), (last, after))
            ]
            found.append(Series(title, (*ends[0], *during, *ends[1])))
    return different(found)
