"""A leaderboard as text to copy: CSV for programs, LaTeX (booktabs) for papers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from leopart_kit.report import wording

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: "\\" + letter for letter in "&%$#_{}"},
}
_FIGURES = ("miou", "miou_present", "pixel_accuracy")


def leaderboard_csv(board: Mapping[str, Any]) -> str:
    """One line an encoder and benchmark that was run; figures in percent, fields by name."""
    parts = [f"{figure}{end}" for figure in _FIGURES for end in ("", "_std", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["benchmark", "encoder", *parts, "seeds", "images"])
    for benchmark in board["benchmarks"]:
        for row in measured(benchmark):
            figures = [value for figure in _FIGURES for value in _values(row[figure])]
            counts = [row["num_seeds"], benchmark["num_images"]]
            writer.writerow([benchmark["name"], row["encoder"], *figures, *counts])
    return text.getvalue()


def leaderboard_latex(board: Mapping[str, Any]) -> str:
    """A table of mIoU, encoders by benchmark, the best of each in bold.

    Over all classes; where not all occur in the ground truth, over those present beside it.
    """
    columns = [column for b in board["benchmarks"] if measured(b) for column in _columns(b)]
    head = " & ".join(["Encoder", *(_latex(title) for title, _, _ in columns)])
    lines = [
        "% needs \\usepackage{booktabs}; mIoU over all classes in percent",
        f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
        "\\toprule",
        f"{head} \\\\",
        "\\midrule",
    ]
    for encoder in board["encoders"]:
        cells = [_cell(benchmark, encoder, figure) for _, benchmark, figure in columns]
        if any(cell != "--" for cell in cells):
            lines.append(" & ".join([_latex(encoder), *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _columns(benchmark: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str]]:
    """Title, benchmark and figure of its columns."""
    columns = [(benchmark["name"], benchmark, "miou")]
    if lacks_classes(benchmark):
        columns.append((f"{benchmark['name']} (present)", benchmark, "miou_present"))
    return columns


def lacks_classes(benchmark: Mapping[str, Any]) -> bool:
    """True if some of the classes do not occur in the ground truth, so that the two mIoU differ."""
    return benchmark.get("num_classes_present") != benchmark.get("num_classes")


def names_published(benchmark: Mapping[str, Any]) -> bool:
    """True if a row has a published one beside it; only then there is a column of them."""
    return any(row["published"] is not None for row in measured(benchmark))


def measured(benchmark: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a benchmark that have figures."""
    return [row for row in benchmark["rows"] if "miou" in row]


def best_of(benchmark: Mapping[str, Any], figure: str = "miou") -> float | None:
    """The best figure of a benchmark as it is shown, to a decimal; None without a choice."""
    found = [row[figure]["mean"] for row in measured(benchmark) if row[figure]["mean"] is not None]
    shown = {round(mean, 1) for mean in found}
    return max(shown) if len(shown) > 1 else None


def standing(benchmark: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """`best` of a benchmark; `level` with it, where the interval of their difference holds 0."""
    mean = row["miou"]["mean"]
    best = best_of(benchmark)
    if mean is None or best is None:
        return ""
    if round(mean, 1) == best:
        return "best"
    low = row["behind"]["interval"][0] if row.get("behind") else None
    return "level" if low is not None and low <= 0 else ""


def _cell(benchmark: Mapping[str, Any], encoder: str, figure: str) -> str:
    row = next((row for row in measured(benchmark) if row["encoder"] == encoder), None)
    if row is None or row[figure]["mean"] is None:
        return "--"
    shown = wording.rate(row[figure]["mean"])
    if round(row[figure]["mean"], 1) == best_of(benchmark, figure):
        shown = f"\\textbf{{{shown}}}"
    spread = row[figure]["std"] if row["num_seeds"] > 1 else None
    return shown if spread is None else f"{shown} {{\\small $\\pm$ {wording.rate(spread)}}}"


def _values(summary: Mapping[str, Any]) -> list[float | None]:
    return [summary["mean"], summary["std"], *summary["ci95"]]


def _latex(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in " ".join(text.split()))
