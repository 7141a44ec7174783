from __future__ import annotations

import base64
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from leopart_kit.evaluation.result import Result, Sample, ScoreTable
from leopart_kit.metrics import paired_bootstrap
from leopart_kit.report import training_opening, training_section
from leopart_kit.report.page import render_page
from leopart_kit.report.sample_view import sample_views
from leopart_kit.report.training_section import EarlierRound, comparison, training_charts
from leopart_kit.report.wording import METRIC_NAMES
from tests.report.test_page import Page


def shifted(table: ScoreTable, points: float) -> ScoreTable:
    """The same table with every rate so many points higher."""

    def shift(key: str):
        summary = getattr(table, key)
        return replace(
            summary,
            mean=summary.mean + points,
            per_seed=tuple(value + points for value in summary.per_seed),
        )

    return replace(table, **{k: shift(k) for k in METRIC_NAMES})


def outcomes(right: int) -> np.ndarray:
    """`[2 seeds, 2 images, 3 classes, 3]`: `right` of 100 pixels of class 0 and 1 found."""
    counts = np.zeros((2, 2, 3, 3), dtype=np.int64)
    counts[:, :, :2] = [right, 10, 100 - right]
    return counts


@pytest.fixture
def before(result: Result) -> Result:
    return replace(result, per_image={"100x100": outcomes(40)})


@pytest.fixture
def after(result: Result) -> Result:
    scores = tuple(shifted(table, 5.25) for table in result.scores)
    return replace(result, scores=scores, per_image={"100x100": outcomes(60)})


@pytest.fixture
def trained(sample: Sample) -> Sample:
    """The sample after a training that renames both clusters and predicts all but the border."""
    prediction = np.where(np.arange(40) < 20, 0, 1)[None].repeat(30, axis=0)
    return replace(sample, prediction=prediction, clusters=2 - 2 * prediction)


def logged(steps: int = 4) -> list[dict[str, float | None]]:
    ratio = [0.9, None, 0.7, 0.5]
    return [
        {
            "step": 10 * (i + 1),
            "loss": None if ratio[i] is None else ratio[i] * math.log(300),
            "loss_over_log_prototypes": ratio[i],
            "learning_rate/backbone": 1e-5 * (1 - i / 4),
            "learning_rate/backbone_no_decay": 1e-5 * (1 - i / 4),
            "learning_rate/head": 1e-4 * (1 - i / 4),
            "prototypes_used": 290.0 + i,
            "assignment_entropy": 2.0 - i / 10,
            "usage_entropy": 5.5,
        }
        for i in range(steps)
    ]


def pixels(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.split(",", 1)[1])
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def test_every_metric_before_after_and_its_change(before: Result, after: Result):
    rows = comparison(before, after)
    assert [(row.metric, row.scored_at) for row in rows[::4]] == [
        ("mIoU", "100 × 100 pixels"),
        ("mIoU", "full mask size"),
    ]
    first = rows[0]
    assert (first.before, first.before_interval) == ("41.7 ± 0.7", "38.5 – 46.0")
    assert (first.after, first.change) == ("47.0 ± 0.7", "+5.2")


def test_the_interval_of_the_change_is_after_minus_before(before: Result, after: Result):
    rows = comparison(before, after)
    low, high = paired_bootstrap(outcomes(60), outcomes(40)).miou.interval
    assert 0 < low < high
    assert rows[0].change_interval == f"+{low:.1f} to +{high:.1f}"
    assert rows[4].change_interval is None, "no counts of each image at full mask size"
    backwards = comparison(after, before)[0]
    assert backwards.change == "−5.2"
    assert backwards.change_interval == f"−{high:.1f} to −{low:.1f}"


def test_other_images_are_not_compared_in_pairs(before: Result, after: Result):
    rows = comparison(replace(before, image_names=("first", "other")), after)
    assert all(row.change_interval is None for row in rows)


def test_curves_of_what_was_logged(before: Result, after: Result):
    charts = {chart.title: chart for chart in training_charts(logged(), before, after)}
    assert list(charts) == [
        "Loss",
        "Prototypes in use",
        "Entropy of the assignments",
        "Learning rate",
    ]
    assert charts["Loss"].summary == "5.13 → 2.85"
    assert charts["Loss"].reference is not None
    assert charts["Loss"].reference.text == "ln K = 5.70"
    reference = charts["Prototypes in use"].reference
    assert reference is not None
    assert reference.text == "all 300"
    assert charts["Learning rate"].names == ("backbone", "head"), "equal rates are one line"
    assert charts["Learning rate"].summary == "backbone 1e-5 → 2.5e-6; head 1e-4 → 2.5e-5"


def test_scores_on_the_way_start_and_end_with_the_results(before: Result, after: Result):
    rows = [*logged(), {"step": 20, "evaluation/miou": 50.0}]
    charts = {chart.title: chart for chart in training_charts(rows, before, after)}
    assert charts["mIoU on the way"].summary == "41.7 → 47"
    assert charts["mIoU on the way"].lines[0].path.count("L") == 2


def test_a_run_of_one_step_has_no_curve(before: Result, after: Result):
    assert training_charts(logged(1), before, after) == []
    assert training_charts([], before, after) == []


def test_a_change_has_a_direction_only_where_its_interval_leaves_zero(before, after):
    assert [row.direction for row in comparison(before, after)[::4]] == ["gain", ""]
    assert comparison(after, before)[0].direction == "loss"
    assert comparison(before, before)[0].direction == ""


def test_clusters_keep_their_colour_through_the_training(sample: Sample, trained: Sample):
    (view,) = sample_views([trained], ("a", "b", "c"), [sample])
    panels = {panel.caption: panel for panel in view.panels}
    first, second = (pixels(panels[f"Clusters {when}"].uri) for when in ("before", "after"))
    # Before: left cluster 0 and right 3; after: left 2 and right 0.
    np.testing.assert_array_equal(first[:, :20], second[:, :20])
    np.testing.assert_array_equal(first[:, 25:], second[:, 25:])
    assert (first[0, 0] != first[0, -1]).any()


def test_iou_of_an_image_before_and_after(sample: Sample, trained: Sample):
    (view,) = sample_views([trained], ("a", "b", "c"), [sample])
    # 38 of 40 columns are labelled, 19 a class; 4 of class 1 were taken for class 0.
    assert view.mious == pytest.approx((50 * (19 / 23 + 15 / 19), 100.0))
    assert [panel.caption for panel in view.panels] == [
        "Image",
        "Ground truth",
        "Prediction before",
        "Prediction after",
        "Clusters before",
        "Clusters after",
    ]


def test_other_samples_are_an_error(sample: Sample, trained: Sample):
    with pytest.raises(ValueError, match="a&b <1>"):
        sample_views([replace(trained, name="z")], ("a", "b", "c"), [sample])


def test_the_page_of_a_training(before: Result, after: Result, sample: Sample, trained: Sample):
    opening = training_opening(before, after)
    html = render_page(
        after,
        [trained],
        samples_before=[sample],
        opening=opening,
        sections=[training_section(logged(), before, after)],
    )
    page = Page(html)
    assert "mIoU +5.2 points 41.7 ± 0.7 → 47.0 ± 0.7" in page.text
    assert "mIoU 100 × 100 pixels 41.7 ± 0.7 38.5 – 46.0 47.0 ± 0.7" in page.text
    assert "80.8 → 100.0 mIoU of its classes" in page.text
    labels = [a["aria-label"] for a in page.all("svg") if a.get("role") == "img"]
    assert labels[0] == "Loss in nats over the steps: 5.13 → 2.85"
    assert "Clusters after of a&b <1>: 2 different" in {i["alt"] for i in page.all("img")}


def test_every_round_has_its_curves(before: Result, after: Result):
    settings = {**after.settings, "method": {"name": "neco"}}
    after = replace(after, settings=settings)
    rows = [*logged(), {"step": 20, "evaluation/miou": 50.0}]
    earlier = [EarlierRound("leopart", logged(3)), EarlierRound("paka", [])]
    sections = [training_section(rows, before, after, earlier)]
    opening = training_opening(before, after, earlier)
    page = Page(render_page(after, [], opening=opening, sections=sections))
    labels = [a["aria-label"] for a in page.all("svg") if a.get("role") == "img"]
    assert [label for label in labels if label and label.startswith("Loss")] == [
        "Loss in nats over the steps: 5.13 → 3.99",
        "Loss in nats over the steps: 5.13 → 2.85",
    ]
    # The last round did not begin with the encoder that is the one before.
    assert "mIoU on the way in percent over the steps: 50 → 47" in labels
    for number, method in enumerate(("leopart", "paka", "neco"), 1):
        assert f"Round {number} of 3: {method}" in page.text
    assert "trained by leopart, then paka, then neco" in page.text


def test_the_page_without_ground_truth(unlabelled: Result, sample: Sample, trained: Sample):
    first, second = ([replace(s, target=None, prediction=None)] for s in (sample, trained))
    opening = training_opening(unlabelled, unlabelled)
    section = training_section([], unlabelled, unlabelled)
    html = render_page(
        unlabelled, second, samples_before=first, opening=opening, sections=[section]
    )
    page = Page(html)
    assert "Clusters before" in page.text
    assert "Prediction" not in page.text
    assert page.all("svg") == []


def test_names_are_escaped(before: Result, after: Result, sample: Sample):
    attack = "<script>alert('x')</script>"
    rows = [{**row, f"learning_rate/{attack}": float(row["step"] or 0)} for row in logged()]
    html = render_page(after, [], sections=[training_section(rows, before, after)])
    assert "<script" not in html
    assert "&lt;script" in html
