"""Methods side by side: what minutes of training did to the image vectors of a network.

The table is plain JSON made from the folders of the runs. Its Markdown is made from that JSON
alone: a committed table can be shown without the runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leopart_kit.image_level.report.json_file import read_image_level
from leopart_kit.input_files import read_json
from leopart_kit.metrics import summarize
from leopart_kit.report import wording
from leopart_kit.report.leaderboard_markdown import markdown_table
from leopart_kit.report.results_json import read_versioned, write_json

SCHEMA_VERSION = 1
TRAINING_NAME = "training.json"

_HEADER = (
    "method",
    "network",
    "parameters",
    "minutes",
    "steps",
    "linear, before → after",
    "gain",
    "best layer, before → after",
    "k-NN, before → after",
)


@dataclass(frozen=True)
class TrainingFacts:
    """Training of one network.

    Attributes:
        encoder, num_parameters: the network, without the heads that a method adds.
        steps, planned_steps, recipe_steps: made; where the schedules end; asked for by the recipe.
        seconds, minutes_allowed: of training.
        threads, device: what it ran on.
        texts: what a method that learns from texts was given, None for the others.
        settings: of `leopart train`.
        identity, backbone_sha256: what the training follows from, and the file it ended in.
        images: what it was trained on, None for the images that all share.
    """

    encoder: str
    num_parameters: int
    steps: int
    planned_steps: int
    recipe_steps: int
    seconds: float
    minutes_allowed: float
    threads: int
    device: str
    texts: str | None
    settings: Mapping[str, Any]
    identity: str
    backbone_sha256: str
    images: str | None = None


def write_training(facts: TrainingFacts, folder: Path) -> Path:
    """Write `training.json` of a run."""
    return write_json(asdict(facts), folder / TRAINING_NAME)


def read_training(folder: Path) -> TrainingFacts:
    """Read what `write_training` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or of another release.
    """
    path = folder / TRAINING_NAME
    try:
        return TrainingFacts(**read_json(path))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}; train again") from error


@dataclass(frozen=True)
class MethodRun:
    """One method with one seed.

    Attributes:
        folder: with `training.json` and the results of the trained network, None if there are none.
        untrained: results of the same network before training, None if there are none.
        reason: why there are none.
    """

    method: str
    seed: int
    folder: Path | None = None
    untrained: Path | None = None
    reason: str | None = None


def build_method_table(runs: Sequence[MethodRun]) -> dict[str, Any]:
    """The table of all runs as JSON values, a row a method, the best linear accuracy first.

    Raises:
        FileNotFoundError, ValueError: a folder without readable results.
    """
    names = dict.fromkeys(run.method for run in runs)
    rows = [_row(name, [run for run in runs if run.method == name]) for name in names]
    rows.sort(key=lambda row: -row["linear"]["mean"] if "linear" in row else float("inf"))
    first = next((run.folder for run in runs if run.folder is not None), None)
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": None if first is None else _dataset(read_image_level(first)),
        "rows": rows,
    }


def write_method_table(table: Mapping[str, Any], path: Path) -> Path:
    """Write the JSON of a table."""
    return write_json(table, path)


def read_method_table(path: Path) -> dict[str, Any]:
    """Read what `write_method_table` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no table of this release.
    """
    return read_versioned(path, "table of methods", SCHEMA_VERSION, "rows")


def _dataset(document: Mapping[str, Any]) -> dict[str, Any]:
    data = document["dataset"]
    kept = ("name", "train_split", "test_split", "num_train", "num_test", "chance")
    return {**{key: data[key] for key in kept}, "num_classes": len(data["class_names"])}


def _row(method: str, runs: Sequence[MethodRun]) -> dict[str, Any]:
    failures = [{"seed": run.seed, "reason": run.reason} for run in runs if run.reason is not None]
    row: dict[str, Any] = {"method": method, "failures": failures}
    done = [
        (run.seed, read_training(run.folder), _figures(run.folder), _figures(run.untrained))
        for run in runs
        if run.folder is not None and run.untrained is not None
    ]
    if not done:
        return row
    seeds, facts, after, before = zip(*done, strict=True)
    gains = [a["linear"] - b["linear"] for a, b in zip(after, before, strict=True)]
    shown = ("encoder", "num_parameters", "minutes_allowed", "threads", "device", "texts", "images")
    return {
        **row,
        "seeds": list(seeds),
        **{name: getattr(facts[0], name) for name in shown},
        **{
            name: [getattr(one, name) for one in facts]
            for name in ("steps", "planned_steps", "recipe_steps")
        },
        "seconds": [round(one.seconds, 1) for one in facts],
        "linear_untrained": _summary([b["linear"] for b in before]),
        "linear": _summary([a["linear"] for a in after]),
        "gain": _summary(gains),
        "best_layer_untrained": _summary([b["best_layer"] for b in before]),
        "best_layer": _summary([a["best_layer"] for a in after]),
        "knn_untrained": _summary([b["knn"] for b in before]),
        "knn": _summary([a["knn"] for a in after]),
        "layers": [a["layer"] for a in after],
        "layers_untrained": [b["layer"] for b in before],
        "git_sha": after[0]["git_sha"],
    }


def _figures(folder: Path) -> dict[str, Any]:
    """Accuracies on the image vector, and on the layer that is best on held-out training images."""
    document = read_image_level(folder)

    def scores(evaluation: str) -> list[dict[str, Any]]:
        return [score for score in document["scores"] if score["evaluation"] == evaluation]

    def held_out(score: Mapping[str, Any]) -> float:
        return sum(choice["validation_accuracy"] for choice in score["chosen"])

    linear = {score["variant"]: score for score in scores("linear")}
    if "output" not in linear:
        raise ValueError(f"{folder} has no linear classifier of the layer output; measure it too")
    best = max(linear.values(), key=held_out)
    return {
        "linear": linear["output"]["mean"],
        "best_layer": best["mean"],
        "layer": best["variant"],
        "knn": scores("knn")[0]["mean"],
        "git_sha": document["git_sha"],
    }


def _summary(per_seed: Sequence[float]) -> dict[str, Any]:
    mean, std = summarize(per_seed)
    return {
        "mean": round(mean, 2),
        "std": round(std, 2),
        "per_seed": [round(value, 2) for value in per_seed],
    }


def method_table_markdown(table: Mapping[str, Any]) -> str:
    """The table, below what it stands on and above what sets single rows apart."""
    rows = table["rows"]
    measured = [row for row in rows if "linear" in row]
    parts = [_introduction(table["dataset"], measured)] if measured else []
    parts.append(markdown_table(_HEADER, [_cells(row) for row in rows]))
    notes = [note for row in rows for note in _notes(row)]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _introduction(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Data, time and measures behind the figures of all rows."""
    minutes = " or ".join(f"{m:g}" for m in sorted({row["minutes_allowed"] for row in rows}))
    machines = sorted({f"{row['device']}, threads: {row['threads']}" for row in rows})
    error = 100 * math.sqrt(0.25 / data["num_test"])
    return (
        f"{data['num_train']:,} training and {data['num_test']:,} test images, "
        f"{data['num_classes']} classes, chance {wording.rate(data['chance'])} %. "
        "Each method was trained on the training images without their classes. That took at most "
        f"{minutes} minutes ({' or '.join(machines)}).\n\n"
        "Figures are accuracies on the test images in percent, before training → after:\n\n"
        "- *steps*: those made, of the recipe's; schedules are shortened with them. In brackets "
        "those planned, where the time ran out before the schedules ended.\n"
        "- *linear*: a linear classifier on the frozen image vector; *gain* is in this figure. "
        "Before training, the network has the same random weights.\n"
        "- *best layer*: the same on the mean of the layer that is best on held-out training "
        "images.\n"
        "- *k-NN*: weighted nearest neighbours of the image vector.\n"
        "- ±: standard deviation over seeds, where there are several. The number of test images "
        f"leaves a standard error of up to {error:.1f} points."
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    name = f"`{row['method']}`"
    if "linear" not in row:
        reasons = dict.fromkeys(failure["reason"] for failure in row["failures"])
        return [name, f"not trained: {'; '.join(reasons)}", *[""] * (len(_HEADER) - 2)]
    return [
        name,
        f"`{row['encoder']}`",
        f"{row['num_parameters'] / 1e6:.1f} M",
        f"{sum(row['seconds']) / len(row['seconds']) / 60:.1f}",
        _steps(row),
        f"{_figure(row['linear_untrained'])} → {_figure(row['linear'])}",
        _gain(row["gain"]),
        f"{_figure(row['best_layer_untrained'])} → {_figure(row['best_layer'])}",
        f"{_figure(row['knn_untrained'])} → {_figure(row['knn'])}",
    ]


def _steps(row: Mapping[str, Any]) -> str:
    """Steps of each seed, those planned in brackets where they are more, and the recipe's."""
    runs = zip(row["steps"], row["planned_steps"], strict=True)
    made = [f"{steps}" if steps >= planned else f"{steps} ({planned})" for steps, planned in runs]
    asked = dict.fromkeys(map(str, row["recipe_steps"]))
    return f"{', '.join(made)} of {' or '.join(asked)}"


def _figure(summary: Mapping[str, Any]) -> str:
    return wording.mean_and_spread(summary["mean"], summary["std"], len(summary["per_seed"]))


def _gain(summary: Mapping[str, Any]) -> str:
    spread = f" ± {wording.rate(summary['std'])}" if len(summary["per_seed"]) > 1 else ""
    return wording.signed(summary["mean"]) + spread


def _notes(row: Mapping[str, Any]) -> list[str]:
    """Facts of a row beside its figures: failures, texts, other images."""
    if "linear" not in row:
        return []
    name = f"`{row['method']}`"
    notes = [
        f"{name} with seed {failure['seed']} was not trained: {failure['reason']}"
        for failure in row["failures"]
    ]
    if row["texts"] is not None:
        notes.append(f"{name} learns from texts: {row['texts']}.")
    if row["images"] is not None:
        notes.append(f"{name} was trained on other images: {row['images']}.")
    return notes
