"""Look-up tables, palettes and the choice of a label set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.label_sets import LabelSet, LabelTable, choose_label_set
from leopart_kit.data.palettes import voc_colormap


def test_voc_colormap_has_the_published_colours():
    colors = voc_colormap()
    assert colors[[0, 1, 2, 3, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]


def test_palette_without_background_has_no_black_class_and_tells_classes_apart():
    palette = LabelSet("x", ("a", "b")).palette
    assert palette[255].tolist() == [0, 0, 0]
    first = palette[:27].astype(int)
    apart = np.abs(first[:, None] - first[None]).sum(-1) + 999 * np.eye(27, dtype=int)
    assert apart.min() > 40
    assert first.sum(axis=1).min() > 60
    own = LabelSet("x", ("a", "b"), colors=((1, 2, 3), (4, 5, 6))).palette
    assert own[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert own.shape == (256, 3)


@given(
    st.dictionaries(st.integers(-3, 300), st.integers(0, 255), min_size=1),
    hnp.arrays(np.int64, (3, 4), elements=st.integers(-6, 400)),
)
def test_table_equals_a_dictionary_or_names_the_first_unknown_id(
    classes: dict[int, int], ids: np.ndarray
):
    table = LabelTable(classes, "these")
    unknown = sorted(set(ids.ravel().tolist()) - set(classes))
    if unknown:
        with pytest.raises(UnknownClassError, match=rf"^f\.png holds id {unknown[0]}\b.*these$"):
            table(ids, "f.png")
    else:
        assert table(ids, "f.png").tolist() == [[classes[i] for i in row] for row in ids.tolist()]


@given(hnp.arrays(np.int64, (5, 5), elements=st.integers(-1, 9)))
def test_table_on_known_ids(ids: np.ndarray):
    table = LabelTable({-1: 255, **{i: 9 - i for i in range(10)}}, "")
    assert np.array_equal(table(ids, "f"), np.where(ids == -1, 255, 9 - ids))


def test_unknown_ids_are_counted():
    with pytest.raises(UnknownClassError, match="id 7"):
        LabelTable({0: 0}, "0")(np.array([[0, 9], [7, 7]]), "f.png")


def test_choose_label_set_takes_numbers_and_names_the_choices():
    assert choose_label_set(None, ["19", "27"], "cityscapes", "19") == "19"
    assert choose_label_set(27, ["19", "27"], "cityscapes", "19") == "27"
    with pytest.raises(ValueError, match="'20'"):
        choose_label_set("20", ["19", "27"], "cityscapes", "19")
