"""The section on parts and objects holds what the protocol measured, background or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data import load_dataset
from leopart_kit.report.comparison import comparison
from leopart_kit.report.objects_section import objects_section
from leopart_kit.report.page import render_page
from tests.evaluation.protocols.test_unsupervised import run, write_objects
from tests.report.test_page import Page

PALETTE = np.array([[0, 0, 0], [200, 30, 30], [30, 30, 200]], dtype=np.uint8)


@pytest.mark.parametrize("refinement", [(), ("bilateral_grid",)])
@pytest.mark.parametrize("first_class", ["background", "road"])
def test_the_choice_without_labels_is_weighed_against_that_by_labels(
    tmp_path: Path, first_class: str, refinement: tuple[str, ...]
):
    roots = [write_objects(tmp_path / split, 12) for split in ("val", "train")]
    for root in roots:
        (root / "classes.txt").write_text(f"{first_class}\ncat\ndog\n")
    dataset, train = (load_dataset("folder", root, "all") for root in roots)
    assert dataset.has_background == (first_class == "background")
    result = run(dataset, tmp_path, train=train, refinement=refinement)
    own = [row for row in comparison(result) if row.own]
    assert [row.miou for row in own] == ["100.0 ± 0.0"] or first_class == "road"
    assert len(own) == 1
    headline = result.scores[0].miou.mean
    measured = {
        row["chosen_by"]: row["miou"]
        for row in result.details["comparison"]
        if row["kind"] == "communities" and row["refinement"] == "none"
    }
    assert measured["stability"] == headline
    section = objects_section(result, dataset)
    page = Page(render_page(result, [], sections=[section]))
    change = f"{measured['stability'] - measured['labels']:+.1f}".replace("+0.0", "0.0")
    assert f"{change} points of mIoU over all classes".replace("-", "−") in page.text
