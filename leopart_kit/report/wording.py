"""Figures and facts of a result in words, in the terminal and on the page alike."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeGuard

from leopart_kit.evaluation.result import Benchmark, DatasetInfo, LabelsUsed, Summary

MISSING = "–"
METRIC_NAMES = {
    "miou": "mIoU",
    "miou_present": "mIoU, present classes",
    "miou_union": "mIoU, present or predicted",
    "pixel_accuracy": "Pixel accuracy",
}

ONE_CLASS = (
    "The masks hold one class alone: there is nothing to tell apart, and no figure means anything."
)
_ONE_TO_ONE = (
    "Every class was given one cluster of its own by Hungarian matching against the ground truth."
)
_MANY_TO_ONE = (
    "Every cluster was given the class it fits best in the ground truth; several clusters may "
    "share one class."
)
_MATCHING = {
    "hungarian_iou": _ONE_TO_ONE,
    "hungarian_count": _ONE_TO_ONE,
    "many_to_one_precision": _MANY_TO_ONE,
    "many_to_one_iou": _MANY_TO_ONE,
}


def current_folder() -> str:
    """The folder that the run was started in."""
    return os.getcwd()


def is_known(value: float | None) -> TypeGuard[float]:
    """True for a figure; one that does not exist is NaN in a result, and null in its JSON."""
    return value is not None and math.isfinite(value)


def rate(value: float | None) -> str:
    """Percent with one decimal; a dash where there is no value."""
    return f"{value:.1f}" if is_known(value) else MISSING


def benchmark(target: Benchmark) -> str:
    """Note on what published figures may be compared with."""
    scored = f"Published figures for {target.name}, scored at {resolution(target.scored_at)}"
    if target.changed:
        return (
            f"{scored}. This run has other settings, listed here: a difference may come from them."
        )
    return (
        f"{scored}; compare the row of that name. The same weights should agree within "
        f"{target.tolerance:g} points."
    )


def changes(target: Benchmark) -> list[tuple[str, str]]:
    """Settings of a run that are not those of its benchmark, by name: `12, published with none`."""
    return [
        (name, f"{_text(own)}, published with {_text(theirs)}")
        for name, (theirs, own) in target.changed.items()
    ]


def rate_and_spread(summary: Summary) -> str:
    """`41.7 ± 0.3`; without the spread where one seed was run, since it has none."""
    return mean_and_spread(summary.mean, summary.std, len(summary.per_seed))


def mean_and_spread(mean: float | None, std: float | None, num_seeds: int) -> str:
    """As `rate_and_spread`, of its parts."""
    if num_seeds < 2 or not is_known(mean) or not is_known(std):
        return rate(mean)
    return f"{rate(mean)} ± {rate(std)}"


def signed(points: float | None) -> str:
    """`+3.4`, `−0.2`, `0.0`; a dash where there is no value."""
    if not is_known(points):
        return MISSING
    text = f"{abs(points):.1f}"
    if text == "0.0":
        return text
    return f"+{text}" if points > 0 else f"−{text}"


def interval(ci95: Sequence[float | None]) -> str:
    """`40.2 – 43.1`; a dash where there is no interval."""
    low, high = ci95
    if not is_known(low) or not is_known(high):
        return MISSING
    return f"{low:.1f} – {high:.1f}".replace("-", "−")


def why_no_figures(reason: str | None) -> str:
    """Reason for a row without figures; one that has none was run, without ground truth."""
    return "not scored: there is no ground truth" if reason is None else f"not run: {reason}"


def trainings(row: Mapping[str, Any]) -> str:
    """`3 trainings`, `2 of 3 trainings`; empty for a row of a leaderboard that has one or none."""
    training = row.get("training")
    if training is None or training["asked"] == 1:
        return ""
    number, asked = training["number"], training["asked"]
    return f"{asked} trainings" if number == asked else f"{number} of {asked} trainings"


def training_cost(row: Mapping[str, Any]) -> str:
    """`120 steps, 2.1 images/s, 3,000 MiB`, as far as it is known; empty without a training."""
    training = row.get("training")
    if training is None:
        return ""
    parts = [f"{training['steps']:,} steps"]
    if training["images_per_second"] is not None:
        parts.append(f"{training['images_per_second']:.1f} images/s")
    if training["peak_memory_mb"] is not None:
        parts.append(f"{training['peak_memory_mb']:,} MiB")
    return ", ".join(parts)


def resolution(name: str | None) -> str:
    """The field `resolution` in words: `100x100` is a grid, `full` each mask's own size."""
    if name is None:
        return "no resolution"
    return "full mask size" if name == "full" else name.replace("x", " × ") + " pixels"


def table_title(resolution_name: str, refinement: str) -> str:
    """Resolution and refinement of one score table in words."""
    suffix = "" if refinement == "none" else f", after {refinement}"
    return resolution(resolution_name) + suffix


def share(percent: float) -> str:
    """A share of the whole in percent; a small one does not read as nothing."""
    return "< 0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def rounds(methods: Sequence[str]) -> str:
    """`leopart, then neco`, `leopart in 2 rounds`: the methods of trainings one after another."""
    runs = [(method, len(list(same))) for method, same in groupby(methods)]
    return ", then ".join(
        method if number == 1 else f"{method} in {number} rounds" for method, number in runs
    )


def how_spread(num_seeds: int) -> str:
    """Meaning of ± and of the interval."""
    if num_seeds < 2:
        return "one seed; 95 % interval over images"
    return f"mean ± standard deviation over {num_seeds} seeds; 95 % interval over images"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def matching(rule: str) -> str:
    """A matching rule in one sentence; a protocol of one's own may have another."""
    return _MATCHING.get(rule, f"Clusters were given classes by the rule “{rule}”.")


def images_of(dataset: DatasetInfo) -> str:
    """The data set and its split; a folder of the user's own by its name."""
    folder = Path(dataset.root).name if dataset.name == "folder" and dataset.root else ""
    return folder or f"{dataset.name} {dataset.split}"


def labels_used(labels: LabelsUsed) -> str:
    """Steps that saw ground truth, in one sentence."""
    # Protocols that train may choose settings by held-out images of the training split.
    choosing = "to choose settings by the measured images" if labels.fit else "to choose settings"
    steps = (
        ("to train", labels.fit),
        (choosing, labels.select),
        ("to name the clusters", labels.match),
    )
    used = [step for step, was_used in steps if was_used]
    unused = [step for step, was_used in steps if not was_used]
    if not used:
        return "No ground truth was used."
    sentence = f"Ground truth was used {' and '.join(used)}"
    return f"{sentence}, but not {' or '.join(unused)}." if unused else f"{sentence}."


def agreement(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """NMI and ARI of clusters and masks, where a protocol has measured them: name, figures."""
    found = details.get("agreement", {})
    rows = []
    for name in ("nmi", "ari"):
        figures = {area: found.get(f"{name}_{area}") for area in ("all", "foreground")}
        shown = [
            f"{mean_and_spread(one['mean'], one['std'], len(one['per_seed']))} over {area} pixels"
            for area, one in figures.items()
            if one is not None
        ]
        rows += [(name.upper(), ", ".join(shown))] if shown else []
    return rows


def flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as `(dotted.key, text)` in the order given; equal records side by side."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += flatten(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            columns = {k: [item.get(k) for item in value] for item in value for k in item}
            rows += flatten(columns, f"{name}.")
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "empty"
    return str(value)
