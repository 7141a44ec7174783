"""Classes keep their ids and colours whatever is named, merged or dropped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.masks import PartNames, part_classes
from tests.masks.part_models import model_of


def named(names: dict[int, str], **fields: object):
    return model_of(6, names=PartNames(names), **fields)


def test_unnamed_clusters_are_classes_of_their_own():
    table = part_classes(model_of(6))
    assert [(item.id, item.name) for item in table.classes] == [
        (k + 1, f"part_00{k}") for k in range(6)
    ]
    assert table.of_cluster.tolist() == [1, 2, 3, 4, 5, 6]
    assert table.palette[0].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(table.palette[1:], cluster_palette(6))


def test_one_name_is_one_class_and_background_drops_out():
    table = part_classes(named({1: "wheel", 4: "wheel", 2: "Background", 5: "door"}))
    assert [(item.id, item.name, item.clusters) for item in table.classes] == [
        (1, "part_000", (0,)),
        (2, "wheel", (1, 4)),
        (4, "part_003", (3,)),
        (6, "door", (5,)),
    ]
    assert table.of_cluster.tolist() == [1, 2, 0, 4, 2, 6]
    assert table.classes[1].colour == tuple(cluster_palette(6)[1].tolist())


def test_the_default_name_of_another_merges_without_naming():
    table = part_classes(named({1: "part_001", 4: "part_001"}))
    assert (2, "part_001", (1, 4)) in [(c.id, c.name, c.clusters) for c in table.classes]
    names = PartNames({0: "leg", 1: "leg"}, {0: "object_000", 1: "object_000"})
    model = model_of(4, communities=np.array([0, 0, 1, 2]), names=names)
    found = [(c.id, c.name, c.clusters) for c in part_classes(model, "objects").classes]
    assert found == [(1, "object_000", (0, 1, 2)), (3, "object_002", (3,))]


def test_clusters_outside_the_foreground_drop_out():
    table = part_classes(named({0: "sky"}, foreground=np.array([0, 1, 1, 0, 0, 0], dtype=bool)))
    assert table.of_cluster.tolist() == [0, 2, 3, 0, 0, 0]


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="all 6 clusters"):
        part_classes(named({cluster: "background" for cluster in range(6)}))


def test_objects_are_communities():
    model = model_of(
        7,
        communities=np.array([1, 0, 0, 1, 2, -1, 0]),
        names=PartNames({3: "background", 4: "dog", 1: "wheel"}, {1: "house"}),
    )
    table = part_classes(model, "objects")
    assert [(item.id, item.name, item.clusters) for item in table.classes] == [
        (1, "object_000", (1, 2, 6)),  # one of its parts has no name: not a wheel
        (2, "house", (0,)),
        (3, "dog", (4,)),  # the name that all its parts share
    ]
    assert table.of_cluster.tolist() == [2, 1, 1, 0, 3, 0, 1]


def test_communities_of_one_name_are_one_object():
    names = PartNames({}, {0: "animal", 2: "animal", 1: "background"})
    model = model_of(4, communities=np.array([0, 1, 2, 2]), names=names)
    table = part_classes(model, "objects")
    assert table.of_cluster.tolist() == [1, 0, 1, 1]


def test_one_community_is_one_object():
    table = part_classes(model_of(3, communities=np.zeros(3, dtype=np.int64)), "objects")
    assert [item.name for item in table.classes] == ["object_000"]


def test_parts_without_communities_have_no_objects():
    with pytest.raises(ValueError, match=r"export\.level"):
        part_classes(model_of(3), "objects")
    with pytest.raises(ValueError, match="no class"):
        part_classes(model_of(3, communities=np.full(3, -1)), "objects")


def test_classes_are_written(tmp_path: Path):
    part_classes(named({1: "Tür", 4: "Tür"})).write(tmp_path / "classes.json")
    entries = json.loads((tmp_path / "classes.json").read_text("utf-8"))
    assert entries[1]["id"] == 2
    assert entries[1]["name"] == "Tür"
    assert entries[1]["clusters"] == [1, 4]
    assert entries[1]["colour"] == cluster_palette(2)[1].tolist()
