"""Worth of each part of a training: figures with all of them and without one at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leopart_kit.image_level.report.bar_chart import Bar, bar_chart
from leopart_kit.metrics import summarize
from leopart_kit.report import wording
from leopart_kit.report.leaderboard_markdown import markdown_table
from leopart_kit.whole_file import write_whole_text

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Variant:
    """A training with all parts, or without one.

    Attributes:
        name: `all`, or what was left out.
        figures: in percent by seed, of the seeds that were trained.
        reasons: by seed why there is no figure.
    """

    name: str
    figures: dict[int, float]
    reasons: dict[int, str]

    @property
    def title(self) -> str:
        """`all`, or `without crop`."""
        return self.name if self.name == "all" else f"without {self.name}"

    @property
    def summary(self) -> tuple[float, float] | None:
        """Mean and sample standard deviation; `None` where no seed was trained."""
        return summarize(list(self.figures.values())) if self.figures else None


@dataclass(frozen=True)
class Ablation:
    """All variants of a study, the one with everything first; `metric` says what is measured."""

    title: str
    metric: str
    variants: tuple[Variant, ...]

    def change(self, variant: Variant) -> float | None:
        """Mean difference to `all` over the seeds that both have, in points."""
        whole = self.variants[0].figures
        shared = [figure - whole[seed] for seed, figure in variant.figures.items() if seed in whole]
        return sum(shared) / len(shared) if shared else None


def ablation_json(ablation: Ablation) -> dict[str, Any]:
    """The study as plain JSON values."""
    rows = []
    for variant in ablation.variants:
        mean, std = variant.summary or (None, None)
        rows.append(
            {
                "name": variant.name,
                "mean": mean,
                "std": std,
                "change": ablation.change(variant),
                "per_seed": {str(seed): figure for seed, figure in variant.figures.items()},
                "reasons": {str(seed): reason for seed, reason in variant.reasons.items()},
            }
        )
    head = {"kind": "augmentation_ablation", "schema_version": SCHEMA_VERSION}
    return {**head, "title": ablation.title, "metric": ablation.metric, "variants": rows}


def ablation_markdown(ablation: Ablation) -> str:
    """A table of the variants; below it, why one was not trained."""
    rows, reasons = [], []
    for variant in ablation.variants:
        change = None if variant.name == "all" else ablation.change(variant)
        difference = wording.MISSING if change is None else wording.signed(change)
        rows.append([variant.title, _figure(variant), difference])
        reasons += [
            f"- {variant.title}, seed {seed}: {reason}" for seed, reason in variant.reasons.items()
        ]
    table = markdown_table([ablation.title, ablation.metric, "difference"], rows)
    return "\n\n".join([table, *(["\n".join(reasons)] if reasons else [])]) + "\n"


def ablation_chart(ablation: Ablation) -> str:
    """The variants as bars in an SVG drawing; lines over their ends are standard deviations.

    Raises:
        ValueError: no variant has a figure.
    """
    bars = []
    for variant in ablation.variants:
        mean, std = variant.summary or (None, 0.0)
        bars.append(Bar(variant.title, mean, std, _figure(variant)))
    return bar_chart(ablation.title, ablation.metric, bars)


def write_ablation(ablation: Ablation, folder: Path) -> None:
    """Write results.json and ablation.md, and ablation.svg once there is a figure to draw."""
    texts = {
        "results.json": json.dumps(ablation_json(ablation), indent=1) + "\n",
        "ablation.md": ablation_markdown(ablation),
    }
    if any(variant.figures for variant in ablation.variants):
        texts["ablation.svg"] = ablation_chart(ablation)
    for name, text in texts.items():
        write_whole_text(folder / name, text)


def _figure(variant: Variant) -> str:
    if variant.summary is None:
        return "not trained"
    return wording.mean_and_spread(*variant.summary, len(variant.figures))
