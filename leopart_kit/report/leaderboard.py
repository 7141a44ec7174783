"""Many results side by side: encoders by benchmark, with what was published and who is better.

The leaderboard is plain JSON made from result folders; its Markdown and its page are made from
that JSON alone, so that a committed leaderboard can be shown without the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leopart_kit.metrics import paired_bootstrap
from leopart_kit.report.leaderboard_rows import Cell, outcomes_of, rounded, row_of
from leopart_kit.report.results_json import read_results, read_versioned, write_json

SCHEMA_VERSION = 1


def build_leaderboard(cells: Sequence[Cell]) -> dict[str, Any]:
    """The leaderboard of all cells as JSON values, benchmarks in the order they come in.

    Cells of one encoder with a `training` each are one row. The rows of a benchmark are
    sorted by mIoU; each is compared with the best one on the same images (paired bootstrap, the
    matching held fixed).

    Raises:
        FileNotFoundError, ValueError: a folder without readable results.
    """
    names = dict.fromkeys(cell.benchmark for cell in cells)
    return {
        "schema_version": SCHEMA_VERSION,
        "encoders": list(dict.fromkeys(cell.encoder for cell in cells)),
        "benchmarks": [
            _benchmark(name, [cell for cell in cells if cell.benchmark == name]) for name in names
        ],
    }


def write_leaderboard(board: Mapping[str, Any], path: Path) -> Path:
    """Write the JSON of a leaderboard."""
    return write_json(board, path)


def read_leaderboard(path: Path) -> dict[str, Any]:
    """Read what `write_leaderboard` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no leaderboard of this release.
    """
    return read_versioned(path, "leaderboard", SCHEMA_VERSION, "benchmarks")


def _benchmark(name: str, cells: Sequence[Cell]) -> dict[str, Any]:
    groups = _groups(cells)
    rows = [row_of(group) for group in groups]
    ranked = sorted(range(len(rows)), key=lambda i: _rank(rows[i]))
    _compare_with_best([groups[i] for i in ranked], [rows[i] for i in ranked])
    first = next((cell.folder for cell in cells if cell.folder is not None), None)
    return {
        "name": name,
        **({} if first is None else _facts(read_results(first))),
        "rows": [rows[i] for i in ranked],
    }


def _groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells by row: the trainings of one encoder share it."""
    found: dict[str | int, list[Cell]] = {}
    for number, cell in enumerate(cells):
        found.setdefault(number if cell.training is None else cell.encoder, []).append(cell)
    return list(found.values())


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that hold for every row of a benchmark."""
    data, benchmark = document["dataset"], document["benchmark"]
    scores = document["scores"]
    return {
        "protocol": document["protocol"],
        "dataset": f"{data['name']} {data['split']}",
        "label_set": data["label_set"],
        "num_images": data["num_images"],
        "num_classes": data["num_classes"],
        "num_classes_present": len(data["classes_present"]),
        "scored_at": scores[0]["resolution"] if scores else None,
        "published": [] if benchmark is None else benchmark["published"],
        "tolerance": None if benchmark is None else benchmark["tolerance"],
        "settings": document["settings"].get("protocol", {}),
    }


def _rank(row: Mapping[str, Any]) -> float:
    mean = row["miou"]["mean"] if "miou" in row else None
    return float("inf") if mean is None else -mean


def _compare_with_best(groups: Sequence[Sequence[Cell]], rows: Sequence[dict[str, Any]]) -> None:
    """Adds `behind` to every row but the first: mIoU of the best minus its own, in points."""
    best = outcomes_of(groups[0])
    if best is None:
        return
    for group, row in zip(groups[1:], rows[1:], strict=True):
        own = outcomes_of(group)
        if own is None:
            continue
        if own.names != best.names or best.size not in own.counts:
            row["behind"] = None  # other images: nothing to pair
            continue
        compared = paired_bootstrap(best.counts[best.size], own.counts[best.size]).miou
        row["behind"] = {
            "difference": rounded(compared.difference),
            "interval": [rounded(end) for end in compared.interval],
            "p_value": rounded(compared.p_value, 4),
        }
