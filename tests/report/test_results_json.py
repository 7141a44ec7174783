from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leopart_kit.evaluation.result import Result, Summary
from leopart_kit.report.results_json import read_per_image, read_results, to_json, write_results
from leopart_kit.report.schema import validate


def test_document_has_every_field_of_the_contract(result: Result):
    document = to_json(result)
    assert set(document) >= {
        "schema_version",
        "protocol",
        "dataset",
        "encoder",
        "settings",
        "metrics",
        "scores",
        "matching",
        "labels_used",
        "timing_seconds",
        "peak_memory_mb",
        "versions",
        "git_sha",
    }
    assert document["schema_version"] == 1
    assert document["dataset"]["classes_present"] == [0, 1]
    assert document["encoder"] == {
        "name": "tiny_vit",
        "weights": "/weights/tiny.pt",
        "sha256": "ab" * 32,
    }
    assert document["metrics"]["miou"] == {
        "mean": 41.7,
        "std": 0.7,
        "per_seed": [41.2, 42.2],
        "ci95": [38.45, 45.95],
    }
    assert [table["resolution"] for table in document["scores"]] == ["100x100", "full"]
    assert document["scores"][1]["per_class"][1] == {
        "id": 1,
        "name": "<cat>",
        "iou": 51.8,
        "std": 2.5,
        "ci95": [44.4, 58.8],
        "pixels": 1000,
    }
    assert document["matching"] == {
        "rule": "many_to_one_precision",
        "cluster_to_class": {"3": [0, 1, 1, -1], "5": [1, 0, 0, 1]},
    }
    assert document["confusion"][1] == [300, 600, 0, 100]
    assert document["dataset"]["broken"] == [{"name": "third", "reason": "third.jpg is truncated"}]
    validate(document)


def test_nan_becomes_null(result: Result):
    document = to_json(replace(result, details={"loss": [float("inf"), np.float32("nan"), 1.5]}))
    assert document["scores"][0]["per_class"][2]["ci95"] == [None, None]
    assert document["details"]["loss"] == [None, None, 1.5]
    json.dumps(document, allow_nan=False)
    validate(document)


def test_numpy_values_and_paths_become_plain(result: Result):
    settings = {"k": np.int64(21), "on": np.bool_(True), "root": Path("a/b"), "size": (4, 5)}
    plain = to_json(replace(result, settings=settings))["settings"]
    assert plain == {"k": 21, "on": True, "root": "a/b", "size": [4, 5]}
    assert type(plain["on"]) is bool


def test_value_that_json_cannot_hold_is_named(result: Result):
    with pytest.raises(ValueError, match=r"settings\.encoder\.factory\[1\]"):
        to_json(replace(result, settings={"encoder": {"factory": [1, lambda: None]}}))


def test_written_results_read_back(result: Result, tmp_path: Path):
    path = write_results(result, tmp_path / "new" / "run")
    assert path == tmp_path / "new" / "run" / "results.json"
    assert read_results(path) == read_results(path.parent) == to_json(result)
    names, counts = read_per_image(path.parent)
    assert names == ("first", "second")
    assert set(counts) == {"100x100", "full"}
    np.testing.assert_array_equal(counts["full"], result.per_image["full"])
    assert {file.name for file in path.parent.iterdir()} == {"results.json", "per_image.npz"}


def test_names_that_are_not_utf8_are_written_and_read_back(result: Result, tmp_path: Path):
    name = os.fsdecode(b"caf\xe9")
    dataset = replace(result.dataset, class_names=(name, *result.dataset.class_names[1:]))
    named = replace(result, dataset=dataset, image_names=(name, *result.image_names[1:]))
    path = write_results(named, tmp_path)
    assert path.read_bytes().isascii()
    assert read_results(path)["dataset"]["class_names"][0] == name
    assert read_per_image(tmp_path)[0][0] == name


def test_run_without_masks_leaves_empty_metrics(unlabelled: Result, tmp_path: Path):
    document = read_results(write_results(unlabelled, tmp_path))
    assert document["metrics"] == {}
    assert document["scores"] == []
    assert document["matching"] is None
    with pytest.raises(FileNotFoundError, match="without masks"):
        read_per_image(tmp_path)


def test_per_image_counts_of_an_earlier_run_do_not_stay(
    result: Result, unlabelled: Result, tmp_path: Path
):
    write_results(result, tmp_path)
    write_results(unlabelled, tmp_path)
    assert not (tmp_path / "per_image.npz").exists()


def test_result_that_breaks_the_schema_is_not_written(result: Result, tmp_path: Path):
    fraction = replace(result.scores[0], miou=Summary(141.7, 0.1, (141.7,), (140.0, 142.0)))
    with pytest.raises(ValueError, match=r"metrics\.miou\.mean"):
        write_results(replace(result, scores=(fraction,)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_the_previous_results(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_results(result, tmp_path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"per_image\.npz"):
        write_results(replace(result, protocol="other"), tmp_path)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"results.json", "per_image.npz"}


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99}', "{}"])
def test_reading_a_wrong_file_names_it(text: str, tmp_path: Path):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"results\.json"):
        read_results(path)


def test_reading_a_missing_file_names_it(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no results"):
        read_results(tmp_path)
