from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from leopart_kit.evaluation.result import Result
from leopart_kit.report.results_json import to_json
from leopart_kit.report.schema import validate

FREE = ("settings", "details", "timing_seconds", "versions", "cluster_to_class")


def field_paths(value: Any, path: str = "") -> list[str]:
    """Paths of every field the schema requires, as they are written in messages."""
    found = []
    if isinstance(value, dict) and not path.endswith(FREE):
        for key, item in value.items():
            name = f"{path}.{key}" if path else key
            found += [name, *field_paths(item, name)]
    elif isinstance(value, list) and value:
        found += field_paths(value[0], f"{path}[0]")
    return found


def parent(document: Any, path: str) -> tuple[Any, str]:
    """The object that holds a field, and the field's name."""
    steps = re.findall(r"[^.\[\]]+", path)
    for step in steps[:-1]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document, steps[-1]


def test_every_missing_field_is_named(result: Result):
    document = to_json(result)
    # Metrics may be empty, and these two are not in files of earlier releases.
    later = ("miou_union", "benchmark.changed")
    paths = [p for p in field_paths(document) if p != "metrics" and not p.endswith(later)]
    assert len(paths) > 60
    for path in paths:
        broken = copy.deepcopy(document)
        holder, name = parent(broken, path)
        del holder[name]
        with pytest.raises(ValueError, match=rf"^{re.escape(path)} is missing$"):
            validate(broken)


def test_files_of_earlier_releases_have_no_mean_over_the_union(result: Result):
    document = to_json(result)
    for table in (document["metrics"], *document["scores"]):
        del table["miou_union"]
    validate(document)
    document["scores"][0]["miou_union"] = document["scores"][0]["miou"]
    with pytest.raises(ValueError, match=r"metrics must be those of scores\[0\]"):
        validate(document)


def test_every_field_of_a_wrong_type_is_named(result: Result):
    document = to_json(result)
    for path in field_paths(document):
        broken = copy.deepcopy(document)
        holder, name = parent(broken, path)
        holder[name] = {"wrong": 1} if isinstance(holder[name], list) else [{"wrong": 1}]
        with pytest.raises(ValueError, match=rf"^{re.escape(path)}\b"):
            validate(broken)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metrics.miou.mean", float("nan")),
        ("metrics.miou.mean", -0.1),
        ("metrics.miou.per_seed", []),
        ("metrics.miou.ci95", [50.0, 40.0]),
        ("metrics.miou.ci95", [1.0]),
        ("metrics.miou.std", 0.1),
        ("dataset.num_images", -1),
        ("dataset.num_images", True),
        ("dataset.classes_present", [0, 3]),
        ("dataset.class_names", ["one"]),
        ("scores[0].per_class[1].id", 7),
        ("matching.cluster_to_class", {"3": [0, 5]}),
        ("settings.num_clusters", float("inf")),
        ("timing_seconds.features", "long"),
        ("labels_used.match", 1),
        ("confusion", [[1, 2, 3]] * 3),
        ("schema_version", 2),
    ],
)
def test_wrong_values_are_refused(result: Result, path: str, value: object):
    document = to_json(result)
    holder, name = parent(document, path)
    holder[name] = value
    with pytest.raises(ValueError, match=path.split(".")[0].split("[")[0]):
        validate(document)


def test_further_fields_are_allowed(result: Result):
    document = to_json(result)
    document["paired_with"] = "another run"
    validate(document)
