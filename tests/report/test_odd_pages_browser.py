"""report.html of results as they come: one class, long names, no figure, 200 classes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leopart_kit.evaluation.result import ClassScore, Result, Sample, ScoreTable, Summary
from leopart_kit.report import training_opening, training_section
from leopart_kit.report.page import write_page
from leopart_kit.report.wording import METRIC_NAMES
from tests.report.browser import Opened, browser
from tests.report.odd_boards import LONG

__all__ = ["browser"]


def of_classes(result: Result, names: tuple[str, ...], rate: float, seeds: int = 2) -> Result:
    """The result with these classes, every figure of it the same."""
    ends = (math.nan, math.nan) if math.isnan(rate) else (rate, min(100.0, rate + 3))
    figure = Summary(rate, 0.0, (rate,) * seeds, ends)
    classes = tuple(ClassScore(i, name, rate, 0.0, ends, 50) for i, name in enumerate(names))
    table = ScoreTable("100x100", "none", *[figure] * len(METRIC_NAMES), per_class=classes)
    number = len(names)
    assert result.matching is not None
    matching = replace(result.matching, cluster_to_class={3: (0, *[number - 1] * 3)})
    return replace(
        result,
        dataset=replace(
            result.dataset,
            num_classes=number,
            class_names=names,
            classes_present=tuple(range(number)),
        ),
        scores=(table,),
        matching=matching,
        confusion=np.eye(number, number + 1, dtype=np.int64),
        per_image={},
        benchmark=None,
    )


def odd(kind: str, result: Result) -> Result:
    match kind:
        case "one class":
            one = of_classes(result, ("only",), 100.0, seeds=1)
            return replace(one, dataset=replace(one.dataset, num_images=1))
        case "no figure":
            return of_classes(result, ("a", "b"), math.nan)
        case "zero":
            return of_classes(result, ("a", "b"), 0.0)
        case "200 classes":
            return of_classes(result, tuple(f"class {i}" for i in range(200)), 12.5)
    long = of_classes(result, (LONG, LONG[1:], "<b>"), 45.0)
    dataset = replace(long.dataset, name=LONG, split=LONG)
    return replace(long, dataset=dataset, encoder=replace(long.encoder, name=LONG, weights=LONG))


@pytest.mark.parametrize("trained", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("kind", ["one class", "no figure", "zero", "200 classes", "long names"])
def test_it_is_shown_whole(
    browser: Any, result: Result, sample: Sample, tmp_path: Path, kind: str, trained: bool
):
    assert sample.target is not None
    assert sample.prediction is not None
    shown = odd(kind, result)
    last = shown.dataset.num_classes - 1
    picture = replace(
        sample,
        name=LONG,
        target=np.minimum(sample.target, last),
        prediction=np.minimum(sample.prediction, last),
    )
    more: dict[str, Any] = {"command": f"leopart eval dataset.root={LONG}"}
    if trained:
        more["samples_before"] = [picture]
        more["opening"] = training_opening(shown, shown)
        more["sections"] = [training_section([], shown, shown)]
    path = write_page(shown, [picture], tmp_path, **more)
    for width in (1280, 390):
        viewport = {"width": width, "height": 800}
        opened = Opened(browser, path, viewport=viewport)
        assert opened.cut_off() == []
        assert "nan" not in opened.page.locator("body").inner_text().lower().split()
        opened.close()
