"""Figures of an ablation as a table and as bars."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from leopart_kit.image_level.report.ablation import (
    Ablation,
    Variant,
    ablation_chart,
    ablation_json,
    ablation_markdown,
)
from leopart_kit.image_level.report.bar_chart import Bar, bar_chart

STUDY = Ablation(
    "sela: augmentations",
    "linear accuracy, %",
    (
        Variant("all", {0: 50.0, 1: 54.0}, {}),
        Variant("crop", {1: 40.0}, {0: "loss is nan"}),
        Variant("blur", {}, {0: "gone", 1: "gone"}),
    ),
)


def test_changes_are_means_over_the_seeds_that_both_have():
    rows = ablation_json(STUDY)["variants"]
    assert [row["change"] for row in rows] == [0.0, -14.0, None]
    assert rows[0]["mean"] == 52
    assert rows[0]["std"] == pytest.approx(8**0.5)
    assert rows[2]["mean"] is None


def test_the_table_has_figures_differences_and_reasons():
    text = ablation_markdown(STUDY)
    assert "| all | 52.0 ± 2.8 | – |" in text
    assert "| without crop | 40.0 | −14.0 |" in text
    assert "| without blur | not trained | – |" in text
    assert "- without crop, seed 0: loss is nan" in text


def test_bars_are_as_long_as_their_values():
    svg = ablation_chart(STUDY)
    ET.fromstring(svg)
    widths = [float(w) for w in re.findall(r'class="(?:first|bar)"[^>]* width="([\d.]+)"', svg)]
    assert len(widths) == 2
    assert widths[1] / widths[0] == pytest.approx(40 / 52, abs=1e-3)
    assert svg.count('class="spread"') == 1
    assert "not trained" in svg


def test_text_is_escaped_and_nothing_is_no_chart():
    ET.fromstring(bar_chart("a < b & c", "%", [Bar('"<x>"', 0.0, 0.0, "0 & 1")]))
    for bars in ([], [Bar("a", None, 0.0, "")], [Bar("a", -1.0, 0.0, "")]):
        with pytest.raises(ValueError, match="needs a bar with a value"):
            bar_chart("t", "%", bars)
