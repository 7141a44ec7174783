from __future__ import annotations

import numpy as np

from leopart_kit.report.confusion_view import MixUp, confusion_view

NAMES = ("road", "tree", "car", "dog")


def test_rows_are_percent_of_their_ground_truth():
    counts = np.array([[60, 20, 0, 0, 20], [0, 5, 0, 5, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    view = confusion_view(counts, NAMES)
    assert view.rows == ("road", "tree")
    assert view.columns == ("road", "tree", "dog", "no class")
    np.testing.assert_allclose(view.shares, [[60, 20, 0, 20], [0, 50, 50, 0]])
    assert view.diagonal == (0, 1)
    assert view.mixups == (
        MixUp("tree", "dog", 50.0),
        MixUp("road", "tree", 20.0),
        MixUp("road", "no class", 20.0),
    )
    assert view.picture is None


def test_class_that_was_never_predicted_keeps_its_column():
    view = confusion_view(np.array([[0, 4, 0], [0, 9, 0]]), ("a", "b"))
    assert view.columns == ("a", "b")
    assert view.mixups == (MixUp("a", "b", 100.0),)


def test_many_classes_become_a_picture():
    counts = np.concatenate([np.eye(40, dtype=int), np.zeros((40, 1), int)], axis=1)
    view = confusion_view(counts, [f"c{i}" for i in range(40)])
    assert view.picture is not None
    assert view.picture.startswith("data:image/png")
    assert view.mixups == ()
