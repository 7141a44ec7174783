"""Rows of a leaderboard: one encoder on one benchmark, over all trainings that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from leopart_kit.metrics import bootstrap_intervals
from leopart_kit.metrics.scores import summarize
from leopart_kit.report import wording
from leopart_kit.report.results_json import PER_IMAGE_NAME, read_per_image, read_results
from leopart_kit.training import read_metrics

_FIGURES = ("miou", "miou_present", "miou_union", "pixel_accuracy")


@dataclass(frozen=True)
class Cell:
    """One encoder on one benchmark; of an encoder trained several times, one of its trainings.

    Attributes:
        encoder, benchmark: how the user calls them.
        folder: where its results lie, None where there are none.
        reason: why there are none.
        published_as: the published row that this encoder should reach, as `(method, encoder)`.
        training: folder of the training that made the encoder.
    """

    encoder: str
    benchmark: str
    folder: Path | None
    reason: str | None = None
    published_as: tuple[str, str] | None = None
    training: Path | None = None


def row_of(cells: Sequence[Cell]) -> dict[str, Any]:
    """The row of an encoder on a benchmark, one cell a training.

    Over several trainings figures are the mean and the standard deviation of what each has reached.
    Intervals over images are those of that mean.
    """
    reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason is not None)
    row: dict[str, Any] = {"encoder": cells[0].encoder, "reason": "; ".join(reasons) or None}
    done = [(cell, read_results(cell.folder)) for cell in cells if cell.folder is not None]
    done = [(cell, document) for cell, document in done if document["scores"]]
    if not done:
        return row
    documents = [document for _, document in done]
    row |= _facts(documents[0], cells[0].published_as)
    row |= _figures(documents) if len(documents) == 1 else _means(documents, outcomes_of(cells))
    row["seconds"] = round(
        sum(document["timing_seconds"].get("total", 0.0) for document in documents), 1
    )
    row["peak_memory_mb"] = round(max(document["peak_memory_mb"] for document in documents))
    trainings = [cell.training for cell, _ in done if cell.training is not None]
    if trainings:
        row["training"] = {**cost_of(trainings), "number": len(done), "asked": len(cells)}
    return row


def _facts(document: Mapping[str, Any], published_as: tuple[str, str] | None) -> dict[str, Any]:
    return {
        "weights_sha256": document["encoder"]["sha256"],
        "published": _published(document["benchmark"], published_as),
        "labels_used": document["labels_used"],
        "further": [],
        "refined": [],
        "versions": document["versions"],
        "git_sha": document["git_sha"],
    }


def _figures(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of a single result, over the seeds of its protocol."""
    [document] = documents
    headline = document["scores"][0]
    return {
        "num_seeds": len(headline["miou"]["per_seed"]),
        **{name: _short(headline[name]) for name in _FIGURES if headline.get(name)},
        "further": [_further(line) for line in document["details"].get("comparison", [])],
        "refined": [
            {"refinement": table["refinement"], "miou": _short(table["miou"])}
            for table in document["scores"]
            if table["refinement"] != "none" and table["resolution"] == headline["resolution"]
        ],
    }


def _means(documents: Sequence[Mapping[str, Any]], outcomes: Outcomes | None) -> dict[str, Any]:
    """Figures of several trainings."""
    headlines = [document["scores"][0] for document in documents]
    over_images = None
    if outcomes is not None:
        over_images = bootstrap_intervals(outcomes.counts[outcomes.size])
    found: dict[str, Any] = {"num_seeds": len(documents)}
    for name in _FIGURES:
        if not all(headline.get(name) for headline in headlines):
            continue
        means = [headline[name]["mean"] for headline in headlines]
        mean, std = summarize(means) if all(map(wording.is_known, means)) else (None, None)
        ends = (None, None) if over_images is None else getattr(over_images, name)
        found[name] = _short({"mean": mean, "std": std, "ci95": ends})
    return found


class Outcomes(NamedTuple):
    """What became of each scored image: its name, and counts of pixels by the size of the maps.

    counts: `[seeds of all trainings, N, C, 3]`; `size` is that of the headline.
    """

    names: tuple[str, ...]
    size: str
    counts: Mapping[str, np.ndarray]


def outcomes_of(cells: Sequence[Cell]) -> Outcomes | None:
    """None where they were not kept, or the trainings were scored on different images."""
    folders = [cell.folder for cell in cells if cell.folder is not None]
    if not folders or not all((folder / PER_IMAGE_NAME).is_file() for folder in folders):
        return None
    read = [read_per_image(folder) for folder in folders]
    (names, first), others = read[0], read[1:]
    if any(own != names or counts.keys() != first.keys() for own, counts in others):
        return None
    size = read_results(folders[0])["scores"][0]["resolution"]
    counts = {key: np.concatenate([counts[key] for _, counts in read]) for key in first}
    return Outcomes(names, size, counts)


def cost_of(trainings: Sequence[Path]) -> dict[str, Any]:
    """Steps of a training, images a second over all of them, and the largest peak of memory.

    Rounds before the last one lie below its folder and count too.
    """
    steps, seconds, images, peaks = 0, 0.0, 0.0, []
    for training in trainings:
        for log in sorted(training.rglob("metrics.jsonl")):
            rows = [row for row in read_metrics(log) if row.get("images_per_second")]
            before = [0, *(row["step"] for row in rows)]
            # A batch has the same size all along, and cancels out of the mean rate.
            took = [row["step"] - b for row, b in zip(rows, before, strict=False)]
            images += sum(took)
            seconds += sum(
                number / row["images_per_second"] for number, row in zip(took, rows, strict=True)
            )
            steps += before[-1]
            peaks += [row["peak_memory_mb"] for row in rows if row.get("peak_memory_mb")]
    return {
        "steps": round(steps / len(trainings)),
        "images_per_second": round(images / seconds, 2) if seconds else None,
        "peak_memory_mb": round(max(peaks)) if peaks else None,
    }


def _short(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mean": rounded(summary["mean"]),
        "std": rounded(summary["std"]),
        "ci95": [rounded(end) for end in summary["ci95"]],
    }


def rounded(value: float | None, digits: int = 2) -> float | None:
    """A figure as a leaderboard holds it; None for one that is not known."""
    return round(value, digits) if wording.is_known(value) else None


def _further(line: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in line.items()}


def _published(
    benchmark: Mapping[str, Any] | None, wanted: tuple[str, str] | None
) -> Mapping[str, Any] | None:
    """The published row, with the settings in which the run is not the benchmark, if any."""
    if benchmark is None or wanted is None:
        return None
    rows = benchmark["published"]
    found = next((row for row in rows if (row["method"], row["encoder"]) == wanted), None)
    changed = sorted(benchmark.get("changed", ()))
    return {**found, "changed": changed} if found and changed else found
