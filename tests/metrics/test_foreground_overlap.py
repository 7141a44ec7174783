from __future__ import annotations

import pytest
import torch

from leopart_kit.metrics.foreground_overlap import foreground_jaccard


def test_by_hand():
    target = torch.tensor([[[0, 3], [5, 255]], [[0, 0], [1, 0]]])
    foreground = torch.tensor([[[True, True], [False, True]], [[False, False], [True, False]]])
    # First image: one of two object pixels found, one too many, the ignored pixel unread: 1 / 3.
    scores = foreground_jaccard(foreground, target)
    torch.testing.assert_close(scores, torch.tensor([100 / 3, 100]).double())
    assert float(foreground_jaccard(foreground[0], target[0])) == pytest.approx(100 / 3)


def test_images_without_an_object():
    target = torch.zeros(2, 2, dtype=torch.int64)
    found = torch.tensor([[True, False], [False, False]])
    assert float(foreground_jaccard(torch.zeros_like(found), target)) == 100
    assert float(foreground_jaccard(found, target)) == 0
    assert float(foreground_jaccard(found, torch.full((2, 2), 255))) == 100


def test_background_and_ignored_ids_are_settings():
    target, found = torch.tensor([[7, 0], [1, 1]]), torch.tensor([[False, True], [False, True]])
    scores = foreground_jaccard(found, target, background=7, ignore_index=0)
    assert float(scores) == 50


def test_bad_input():
    with pytest.raises(ValueError, match=r"torch.int64.*\[2, 2\]"):
        foreground_jaccard(torch.zeros(2, 2).long(), torch.zeros(2, 2).long())
    with pytest.raises(ValueError, match=r"torch.bool.*\[2, 3\]"):
        foreground_jaccard(torch.zeros(2, 2).bool(), torch.zeros(2, 3).long())
