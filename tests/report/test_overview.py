from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leopart_kit.evaluation.result import Sample
from leopart_kit.report.overview import write_overview

PALETTE = np.array([[0, 0, 0], [200, 30, 30]], dtype=np.uint8)


def flat_sample(height: int, width: int) -> Sample:
    ones = np.ones((height, width), dtype=np.int64)
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    return Sample("a", image, ones, 0 * ones, 3 * ones)


def test_rows_show_image_truth_and_prediction_in_their_colours(tmp_path: Path):
    write_overview([flat_sample(40, 80)] * 8, tmp_path / "sheet.png", PALETTE)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 6 * 176 + 5 * 6  # eight samples, six shown
    centres = [sheet[row * 182 + 88, 88].tolist() for row in range(4)]
    assert centres[:3] == [[90, 90, 90], [200, 30, 30], [0, 0, 0]]
    assert sheet[178, 88].tolist() == [255, 255, 255]


def test_without_ground_truth_only_image_and_clusters(tmp_path: Path):
    bare = replace(flat_sample(32, 32), target=None, prediction=None)
    write_overview([bare], tmp_path / "sheet.png", PALETTE)
    assert Image.open(tmp_path / "sheet.png").size == (176, 2 * 176 + 6)


def test_no_sample_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="sample"):
        write_overview([], tmp_path / "sheet.png", PALETTE)
