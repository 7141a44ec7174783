"""A result in the terminal: the figures first, then the classes, then what they stand on."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from leopart_kit.evaluation.result import Benchmark, Result, ScoreTable
from leopart_kit.report import wording
from leopart_kit.report.training_section import comparison

_MAX_CLASSES = 40
_NUM_SHOWN = 10  # best and worst, where there are more classes than that
_BAR_CELLS = 14


def print_result(result: Result, console: Console) -> None:
    """Print headline scores, every resolution, classes, samples left out, labels used and time."""
    data = result.dataset
    console.print()
    console.print(
        Text.assemble(
            (f"{result.encoder.name}", "bold"),
            f" on {data.name} {data.split} · {result.protocol} · {data.num_images:,} images",
        )
    )
    if result.scores:
        console.print(Padding(_score_table(result), (1, 0)))
        console.print(Padding(_class_table(result.scores), (0, 0, 1, 0)))
        if result.benchmark and result.benchmark.published:
            for name, text in wording.changes(result.benchmark):
                console.print(Text(f"{name} = {text}", style="yellow"))
            console.print(Padding(_published_table(result.benchmark), (0, 0, 1, 0)))
    else:
        _print_no_scores(result, console)
    _print_facts(result, console)


def print_change(before: Result, after: Result, console: Console, images: str) -> None:
    """Print what a training has changed: scores before and after it, with what they stand on.

    Args:
        images: what the two were measured on, in words.
    """
    console.print()
    console.print(
        Text.assemble(
            (f"{after.encoder.name}", "bold"),
            f" before and after the training · {after.protocol} on {after.dataset.num_images:,} "
            f"{images}",
        )
    )
    if after.scores:
        console.print(Padding(_change_table(before, after), (1, 0)))
    else:
        _print_no_scores(after, console)
    _print_facts(after, console)


def _change_table(before: Result, after: Result) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("percent")
    for title in ("before", "after", "change", "95 % interval of it"):
        table.add_column(title, justify="right")
    scored_at = None
    for row in comparison(before, after):
        if row.scored_at != scored_at:
            table.add_row(Text(f"at {row.scored_at}", style="dim"))
        scored_at = row.scored_at
        interval = row.change_interval or wording.MISSING
        table.add_row(row.metric, row.before, row.after, row.change, interval)
    return table


def _print_no_scores(result: Result, console: Console) -> None:
    shown = "clusters" if result.class_maps is None else "predicted classes"
    console.print(f"No ground truth: {shown} and pictures, no scores.", style="yellow")


def _print_facts(result: Result, console: Console) -> None:
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for label, text in _facts(result):
        facts.add_row(label, Text(text))
    console.print(facts)


def _score_table(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("percent at", min_width=len("100 × 100 pixels"))
    for name in wording.METRIC_NAMES.values():
        table.add_column(name, justify="right", min_width=len("38.5 – 46.0"))
    for index, scores in enumerate(result.scores):
        cells = [wording.table_title(scores.resolution, scores.refinement)]
        for name in wording.METRIC_NAMES:
            summary = getattr(scores, name)
            spread, ci95 = wording.rate_and_spread(summary), wording.interval(summary.ci95)
            cells.append(f"{spread}\n[dim]{ci95}[/dim]")
        table.add_row(*cells, style="bold" if index == 0 else "")
    table.caption = wording.how_spread(len(result.scores[0].miou.per_seed))
    table.caption_justify = "left"
    return table


def _class_table(scores: tuple[ScoreTable, ...]) -> Table:
    headline, others = scores[0], scores[1:]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("class")
    table.add_column("IoU", justify="right")
    table.add_column("")
    table.add_column("95 % interval", justify="right")
    for other in others:
        title = wording.table_title(other.resolution, other.refinement)
        table.add_column(f"IoU, {title}", justify="right")
    other_iou = [{score.id: score.iou for score in other.per_class} for other in others]
    present = sorted((s for s in headline.per_class if s.pixels), key=lambda s: (-s.iou, s.id))
    hidden = len(present) - 2 * _NUM_SHOWN if len(present) > _MAX_CLASSES else 0
    for rank, score in enumerate(present):
        if hidden and _NUM_SHOWN <= rank < len(present) - _NUM_SHOWN:
            if rank == _NUM_SHOWN:
                table.add_row(f"[dim]… {hidden} more in results.json[/dim]")
            continue
        spread = f" ± {wording.rate(score.std)}" if len(headline.miou.per_seed) > 1 else ""
        table.add_row(
            escape(score.name),
            f"{wording.rate(score.iou)}{spread}",
            Text("━" * round(score.iou / 100 * _BAR_CELLS), style="yellow"),
            f"[dim]{wording.interval(score.ci95)}[/dim]",
            *(wording.rate(iou.get(score.id, float("nan"))) for iou in other_iou),
        )
    return table


def _published_table(benchmark: Benchmark) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in ("published", "encoder", "source"):
        table.add_column(title)
    for title in ("mIoU", "pixel accuracy"):
        table.add_column(title, justify="right")
    for row in benchmark.published:
        figures = (wording.rate(row.miou), wording.rate(row.pixel_accuracy))
        table.add_row(escape(row.method), escape(row.encoder), escape(row.source), *figures)
    table.caption = wording.benchmark(benchmark)
    table.caption_justify = "left"
    return table


def _facts(result: Result) -> list[tuple[str, str]]:
    data = result.dataset
    lines: list[tuple[str, str]] = []
    num_absent = data.num_classes - len(data.classes_present)
    if result.scores and num_absent:
        absent = f"{num_absent} of {data.num_classes} never occur in the ground truth"
        lines.append(("classes", absent))
    if result.scores and len(data.classes_present) == 1:
        lines.append(("classes", wording.ONE_CLASS))
    if data.broken:
        names = ", ".join(item["name"] for item in data.broken[:3])
        more = f" and {len(data.broken) - 3} more" if len(data.broken) > 3 else ""
        lines.append(("left out", f"{len(data.broken)} broken: {names}{more}"))
    lines += [("note", note) for note in data.notes]
    if result.matching:
        rule = result.matching.rule
        lines.append(("matching", f"{rule}: {wording.matching(rule)}"))
    lines += wording.agreement(result.details)
    lines.append(("labels", wording.labels_used(result.labels_used)))
    parts = ", ".join(f"{k} {wording.duration(v)}" for k, v in result.timing_seconds.items())
    lines.append(("time", f"{parts} · peak memory {result.peak_memory_mb:,.0f} MiB"))
    return lines
