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
    """A table of mIoU over all classes, encoders by benchmark, the best of each in bold."""
    benchmarks = [benchmark for benchmark in board["benchmarks"] if measured(benchmark)]
    head = " & ".join(["Encoder", *(_latex(benchmark["name"]) for benchmark in benchmarks)])
    lines = [
        "% needs \\usepackage{booktabs}; mIoU over all classes in percent",
        f"\\begin{{tabular}}{{l{'r' * len(benchmarks)}}}",
        "\\toprule",
        f"{head} \\\\",
        "\\midrule",
    ]
    for encoder in board["encoders"]:
        cells = [_cell(benchmark, encoder) for benchmark in benchmarks]
        if any(cell != "--" for cell in cells):
            lines.append(" & ".join([_latex(encoder), *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def measured(benchmark: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a benchmark that have figures."""
    return [row for row in benchmark["rows"] if "miou" in row]


def best_of(benchmark: Mapping[str, Any], figure: str = "miou") -> float | None:
    """The best figure of a benchmark as it is shown, to a decimal; None without any."""
    found = [row[figure]["mean"] for row in measured(benchmark) if row[figure]["mean"] is not None]
    return round(max(found), 1) if found else None


def _cell(benchmark: Mapping[str, Any], encoder: str) -> str:
    row = next((row for row in measured(benchmark) if row["encoder"] == encoder), None)
    if row is None or row["miou"]["mean"] is None:
        return "--"
    shown = wording.rate(row["miou"]["mean"])
    if round(row["miou"]["mean"], 1) == best_of(benchmark):
        shown = f"\\textbf{{{shown}}}"
    spread = row["miou"]["std"] if row["num_seeds"] > 1 else None
    return shown if spread is None else f"{shown} {{\\small $\\pm$ {wording.rate(spread)}}}"


def _values(summary: Mapping[str, Any]) -> list[float | None]:
    return [summary["mean"], summary["std"], *summary["ci95"]]


def _latex(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in text)
