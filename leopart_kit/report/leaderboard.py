"""Many results side by side: encoders by benchmark, with what was published and who is better.

The leaderboard is plain JSON made from result folders; its Markdown and its page are made from
that JSON alone, so that a committed leaderboard can be shown without the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leopart_kit.metrics import paired_bootstrap
from leopart_kit.report import wording
from leopart_kit.report.results_json import (
    PER_IMAGE_NAME,
    read_per_image,
    read_results,
    read_versioned,
    write_json,
)

SCHEMA_VERSION = 1

_FIGURES = ("miou", "miou_present", "miou_union", "pixel_accuracy")


@dataclass(frozen=True)
class Cell:
    """One encoder on one benchmark.

    Attributes:
        encoder, benchmark: how the user calls them.
        folder: where its results lie, None where there are none.
        reason: why there are none.
        published_as: the published row that this encoder should reach, as `(method, encoder)`.
    """

    encoder: str
    benchmark: str
    folder: Path | None
    reason: str | None = None
    published_as: tuple[str, str] | None = None


def build_leaderboard(cells: Sequence[Cell]) -> dict[str, Any]:
    """The leaderboard of all cells as JSON values, benchmarks in the order they come in.

    The rows of a benchmark are sorted by mIoU; each is compared with the best one on the same
    images (paired bootstrap, the matching held fixed).

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
    documents = [None if c.folder is None else read_results(c.folder) for c in cells]
    rows = [_row(cell, document) for cell, document in zip(cells, documents, strict=True)]
    ranked = sorted(range(len(rows)), key=lambda i: _rank(rows[i]))
    _compare_with_best([cells[i] for i in ranked], [rows[i] for i in ranked])
    first = next((document for document in documents if document is not None), None)
    return {
        "name": name,
        **({} if first is None else _facts(first)),
        "rows": [rows[i] for i in ranked],
    }


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


def _row(cell: Cell, document: Mapping[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"encoder": cell.encoder, "reason": cell.reason}
    if document is None:
        return row
    if not document["scores"]:
        return row
    headline = document["scores"][0]
    figures = {name: _short(headline[name]) for name in _FIGURES if headline.get(name)}
    published = _published(document["benchmark"], cell.published_as)
    return {
        **row,
        "weights_sha256": document["encoder"]["sha256"],
        "num_seeds": len(headline["miou"]["per_seed"]),
        **figures,
        "published": published,
        "labels_used": document["labels_used"],
        "further": [_further(line) for line in document["details"].get("comparison", [])],
        "refined": [
            {"refinement": table["refinement"], "miou": _short(table["miou"])}
            for table in document["scores"]
            if table["refinement"] != "none" and table["resolution"] == headline["resolution"]
        ],
        "seconds": round(document["timing_seconds"].get("total", 0.0), 1),
        "peak_memory_mb": round(document["peak_memory_mb"]),
        "versions": document["versions"],
        "git_sha": document["git_sha"],
    }


def _short(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mean": _rounded(summary["mean"]),
        "std": _rounded(summary["std"]),
        "ci95": [_rounded(end) for end in summary["ci95"]],
    }


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return round(value, digits) if wording.is_known(value) else None


def _further(line: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in line.items()}


def _published(
    benchmark: Mapping[str, Any] | None, wanted: tuple[str, str] | None
) -> Mapping[str, Any] | None:
    if benchmark is None or wanted is None:
        return None
    rows = benchmark["published"]
    return next((row for row in rows if (row["method"], row["encoder"]) == wanted), None)


def _rank(row: Mapping[str, Any]) -> float:
    mean = row["miou"]["mean"] if "miou" in row else None
    return float("inf") if mean is None else -mean


def _compare_with_best(cells: Sequence[Cell], rows: Sequence[dict[str, Any]]) -> None:
    """Adds `behind` to every row but the first: mIoU of the best minus its own, in points."""
    best = cells[0].folder
    if best is None or not (best / PER_IMAGE_NAME).is_file():
        return
    names, counts = read_per_image(best)
    resolution = read_results(best)["scores"][0]["resolution"]
    for cell, row in zip(cells[1:], rows[1:], strict=True):
        if cell.folder is None or not (cell.folder / PER_IMAGE_NAME).is_file():
            continue
        other_names, other = read_per_image(cell.folder)
        if other_names != names or resolution not in other:
            row["behind"] = None  # other images: nothing to pair
            continue
        compared = paired_bootstrap(counts[resolution], other[resolution]).miou
        row["behind"] = {
            "difference": _rounded(compared.difference),
            "interval": [_rounded(end) for end in compared.interval],
            "p_value": _rounded(compared.p_value, 4),
        }
