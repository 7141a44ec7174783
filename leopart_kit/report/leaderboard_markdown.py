"""A leaderboard as Markdown, and as the part of a README between two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leopart_kit.report import wording
from leopart_kit.report.leaderboard_tables import names_published
from leopart_kit.whole_file import write_whole_text


def marks(name: str) -> tuple[str, str]:
    """The comments between which a Markdown file holds the table of that name."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


BEGIN, END = marks("leaderboard")


def leaderboard_markdown(board: Mapping[str, Any]) -> str:
    """An overview of all encoders by benchmark, then a table of each benchmark."""
    parts = [leaderboard_overview(board)]
    parts += [_benchmark(benchmark) for benchmark in board["benchmarks"]]
    return "\n\n".join(parts) + "\n"


def write_between_marks(text: str, path: Path, name: str = "leaderboard") -> None:
    """Put `text` between the `marks` of that name in a Markdown file, in place of what stood there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it does not have both marks once.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path} to write the {name} into")
    begin, end = marks(name)
    whole = path.read_text(encoding="utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(end) < whole.index(begin):
        raise ValueError(f"{path} needs the lines {begin} and {end}, once each, in this order")
    head, rest = whole.split(begin)
    tail = rest.split(end)[1]
    write_whole_text(path, f"{head}{begin}\n{text.strip()}\n{end}{tail}")


def leaderboard_overview(board: Mapping[str, Any]) -> str:
    """One table: mIoU over the classes present of every encoder on every benchmark."""
    benchmarks = board["benchmarks"]
    encoders = board["encoders"]
    cells = {(b["name"], row["encoder"]): row for b in benchmarks for row in b["rows"]}
    header = ["mIoU of classes present", *(f"`{encoder}`" for encoder in encoders)]
    rows = []
    for benchmark in benchmarks:
        name = benchmark["name"]
        figures = [_present(cells.get((name, encoder))) for encoder in encoders]
        rows.append([f"`{name}`", *figures])
    return markdown_table(header, rows)


def _present(row: Mapping[str, Any] | None) -> str:
    if row is None or "miou_present" not in row:
        return wording.MISSING
    return _figure(row["miou_present"], row["num_seeds"])


def _benchmark(benchmark: Mapping[str, Any]) -> str:
    lines = [f"### `{benchmark['name']}`"]
    if "protocol" in benchmark:
        lines.append(
            f"`protocol={benchmark['protocol']}`, {benchmark['dataset']} "
            f"({benchmark['label_set'] or 'its own labels'}), {benchmark['num_images']:,} images, "
            f"{benchmark['num_classes_present']} of {benchmark['num_classes']} classes present, "
            f"headline at {wording.resolution(benchmark['scored_at'])}."
        )
    header = [
        "encoder",
        "mIoU",
        "95 % interval",
        "classes present",
        "pixel accuracy",
        "published",
        "behind the first",
        "cost",
    ]
    table = [header, *(_cells(row) for row in benchmark["rows"])]
    if not names_published(benchmark):
        place = header.index("published")
        table = [[*line[:place], *line[place + 1 :]] for line in table]
    lines.append(markdown_table(table[0], table[1:]))
    for row in benchmark["rows"]:
        if "miou" in row and row["reason"] is not None:
            lines.append(f"`{row['encoder']}`, not run: {row['reason']}")
        if row.get("further"):
            lines.append(_further(row))
    published = benchmark.get("published")
    if published:
        shown = "; ".join(
            f"{p['method']} {p['encoder']} {wording.rate(p['miou'])}" for p in published
        )
        lines.append(f"Published on the whole set: {shown}.")
    return "\n\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    if "miou" not in row:
        return [f"`{row['encoder']}`", wording.why_no_figures(row["reason"]), *[""] * 6]
    seeds, trainings = row["num_seeds"], wording.trainings(row)
    return [
        f"`{row['encoder']}`" + (f", {trainings}" if trainings else ""),
        _figure(row["miou"], seeds),
        wording.interval(tuple(row["miou"]["ci95"])),
        _figure(row["miou_present"], seeds),
        _figure(row["pixel_accuracy"], seeds),
        _published(row),
        _behind(row),
        _cost(row),
    ]


def _cost(row: Mapping[str, Any]) -> str:
    """Of the evaluation, and of the training before it."""
    own = f"{wording.duration(row['seconds'])}, {row['peak_memory_mb']:,} MiB"
    training = wording.training_cost(row)
    return f"{own}; trained: {training}" if training else own


def _figure(summary: Mapping[str, Any], num_seeds: int) -> str:
    return wording.mean_and_spread(summary["mean"], summary["std"], num_seeds)


def _published(row: Mapping[str, Any]) -> str:
    published = row["published"]
    if published is None or None in (published["miou"], row["miou"]["mean"]):
        return wording.MISSING
    if published.get("changed"):
        return f"{published['miou']:.1f} (other settings)"
    difference = row["miou"]["mean"] - published["miou"]
    return f"{published['miou']:.1f} ({wording.signed(difference)})"


def _behind(row: Mapping[str, Any]) -> str:
    behind = row.get("behind")
    if behind is None:
        return wording.MISSING
    low, high = behind["interval"]
    if low is None or high is None:
        return wording.rate(behind["difference"])
    return f"{behind['difference']:.1f} ({low:.1f} – {high:.1f})"


def _further(row: Mapping[str, Any]) -> str:
    header = [f"`{row['encoder']}`, step by step", "mIoU", "classes present", "pixel accuracy"]
    rows = [
        [
            line["segmentation"],
            wording.mean_and_spread(line["miou"], line["std"], line["num_seeds"]),
            wording.mean_and_spread(line["miou_present"], line["std_present"], line["num_seeds"]),
            f"{line['pixel_accuracy']:.1f}",
        ]
        for line in row["further"]
    ]
    return markdown_table(header, rows)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, figures to the right of the first column; bars in cells are escaped."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
