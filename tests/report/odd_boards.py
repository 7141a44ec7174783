"""Leaderboards as they come in practice: many rows, long names, figures that are missing or 0."""

from __future__ import annotations

from typing import Any

LONG = "leopart_" * 12 + "vitb8" + "x" * 60


def summary(mean: float | None, std: float = 0.75) -> dict[str, Any]:
    interval = [None, None] if mean is None else [round(0.8 * mean, 2), round(1.1 * mean, 2)]
    return {"mean": mean, "std": None if mean is None else std, "ci95": interval}


def row(encoder: str, miou: float | None, behind: float | None = None, seeds: int = 3):
    """A row that was run; `behind` the best by so many points, give or take 2."""
    more = None if miou is None else round(1.5 * miou, 2)
    figures = {"miou": miou, "miou_present": more, "miou_union": more, "pixel_accuracy": more}
    found = {
        "encoder": encoder,
        "reason": None,
        "num_seeds": seeds,
        **{key: summary(mean) for key, mean in figures.items()},
        "published": {"method": encoder, "encoder": "ViT", "miou": 41.0, "source": "its paper"},
        "further": [],
        "seconds": 75.0,
        "peak_memory_mb": 12345,
    }
    if behind is not None:
        interval = [round(behind - 2, 2), round(behind + 2, 2)]
        found["behind"] = {"difference": behind, "interval": interval, "p_value": 0.0009995}
    return found


def benchmark(name: str, rows: list[Any], present: int = 12, classes: int = 21) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "overclustering",
        "dataset": "voc val",
        "label_set": None,
        "num_images": 1449,
        "num_classes": classes,
        "num_classes_present": present,
        "scored_at": "100x100" if classes else None,
        "published": [],
        "tolerance": None,
        "settings": {},
        "rows": rows,
    }


def board(*benchmarks: dict[str, Any]) -> dict[str, Any]:
    encoders = dict.fromkeys(row["encoder"] for found in benchmarks for row in found["rows"])
    return {"schema_version": 1, "encoders": list(encoders), "benchmarks": list(benchmarks)}


def lost(encoder: str, reason: str) -> dict[str, Any]:
    return {"encoder": encoder, "reason": reason}


def unknown(found: dict[str, Any]) -> dict[str, Any]:
    """A row of a benchmark of one image, which has no interval."""
    behind = {**found["behind"], "interval": [None, None], "p_value": None}
    return {**found, "miou": {**found["miou"], "ci95": [None, None]}, "behind": behind}


def many_rows(number: int) -> list[dict[str, Any]]:
    return [row(f"encoder_{i:02d}", 60.0 - i, float(i) if i else None) for i in range(number)]


BOARDS = {
    "many": board(*(benchmark(f"voc_k{k}", many_rows(40)) for k in range(20))),
    "long": board(
        benchmark(
            f"on {LONG}",
            [row(LONG, 55.5), row("50 % & {_$#^~}\\", 54.5, 1.0), lost("<b>", "no /file" * 40)],
        )
    ),
    "missing": board(
        benchmark("some", [row("zero", 0.0), row("none", None), row("gone", None, None, 1)]),
        {"name": "overview", "rows": [lost("zero", "no data: set roots.voc=DIR")]},
        benchmark("unlabelled", [{"encoder": "zero", "reason": None}], 0, 0),
    ),
    "zeros": board(benchmark("all", [row("a", 0.0), row("b", 0.0, 0.0)], 21)),
    "one image": board(benchmark("one", [row("a", 30.0), unknown(row("b", 20.0, 10.0))], 2, 2)),
    "one": board(benchmark("only", [row("alone", 33.3, None, 1)], 1, 1)),
}
