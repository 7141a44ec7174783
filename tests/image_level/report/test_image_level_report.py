"""results.json, terminal and page of an image-level evaluation."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from leopart_kit.evaluation.result import EncoderInfo
from leopart_kit.image_level.data.classification import ClassificationDataset
from leopart_kit.image_level.evaluation import ClusterView, ImageLevelResult, ImageSets, Score
from leopart_kit.image_level.evaluation.evaluate import LABELS_USED
from leopart_kit.image_level.report.console import print_image_level
from leopart_kit.image_level.report.json_file import (
    image_level_json,
    read_image_level,
    validate_image_level,
    write_image_level,
)
from leopart_kit.image_level.report.page import render_image_level_page, write_image_level_page
from tests.data.image_writers import truncate
from tests.image_level.evaluation.tiny_images import colour_splits
from tests.report.test_page import Page


def probe(layer: str, seeds: tuple[float, ...], held_out: float) -> Score:
    choice = {"learning_rate": 3.0, "weight_decay": 1e-5, "validation_accuracy": held_out}
    return Score.over_seeds("linear", layer, "accuracy", seeds, [choice] * len(seeds))


@pytest.fixture
def test_split(tmp_path: Path) -> ClassificationDataset:
    return colour_splits(tmp_path / "data")[1]


@pytest.fixture
def result() -> ImageLevelResult:
    return ImageLevelResult(
        dataset=ImageSets(
            name="zoo & co",
            root="/data/zoo",
            train_split="train",
            test_split="test",
            num_train=1230,
            num_test=11,
            resolution=32,
            class_names=("blue", "green", "red"),
            chance=36.4,
            broken=({"split": "test", "name": "blue/00", "reason": "00.png is <broken>"},),
            notes=("small",),
        ),
        encoder=EncoderInfo("tiny_vit", "/weights/tiny.pt", "ab" * 32),
        settings={"protocol": {"seeds": (0, 1), "knn": {"neighbours": 20}}},
        scores=(
            Score.over_seeds("knn", "output", "accuracy", [61.25]),
            probe("conv1", (70.0, 72.0), held_out=80.0),
            probe("conv2", (73.0, 75.0), held_out=79.0),
            Score.over_seeds("low_shot", "1 % of the labels", "accuracy", [30.0, 32.0]),
            Score.over_seeds("low_shot", "10 % of the labels", "accuracy", [50.0, 50.0]),
            Score.over_seeds("clusters", "K = 2", "accuracy", [40.0, 44.0]),
            Score.over_seeds("clusters", "K = 2", "ari", [-1.0, 1.0]),
        ),
        labels_used={name: LABELS_USED[name] for name in ("knn", "linear", "low_shot", "clusters")},
        timing_seconds={"features": 65.0, "total": 65.0},
        peak_memory_mb=1234.5,
        versions={"python": "3.12.1"},
        git_sha=None,
        clusters=(
            # Rows count the images that were scored: blue/00 is none of them.
            ClusterView(4, 3, ((0, 2), (2, 1)), (0, 7, 1)),
            ClusterView(9, 1, ((1, 1),), (3,)),
        ),
    )


def test_document_reads_back(result: ImageLevelResult, tmp_path: Path):
    path = write_image_level(result, tmp_path / "run")
    document = read_image_level(path)
    assert document == read_image_level(path.parent) == image_level_json(result)
    assert document["kind"] == "image_level"
    assert document["scores"][1] == {
        "evaluation": "linear",
        "variant": "conv1",
        "metric": "accuracy",
        "mean": 71.0,
        "std": pytest.approx(2**0.5),
        "per_seed": [70.0, 72.0],
        "chosen": [
            {"learning_rate": 3.0, "weight_decay": 1e-5, "validation_accuracy": 80.0},
        ]
        * 2,
    }
    assert document["labels_used"]["linear"] == {"fit": True, "select": True, "match": False}
    assert document["clusters"][0]["examples"] == [0, 7, 1]
    assert document["dataset"]["broken"][0]["name"] == "blue/00"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(kind="voc"), "kind"),
        (lambda d: d.update(schema_version=9), "schema_version"),
        (lambda d: d.pop("encoder"), "encoder"),
        (lambda d: d.update(scores=[]), "scores"),
        (lambda d: d["scores"][2].pop("std"), r"scores\[2\].std"),
        (lambda d: d["scores"][0].update(mean=0.6125), r"scores\[0\].mean"),
        (lambda d: d["scores"][0].update(mean=161.0), r"scores\[0\]"),
        (lambda d: d["scores"][1].update(per_seed=[70, None]), r"scores\[1\]"),
        (lambda d: d.update(versions=[]), "versions"),
    ],
)
def test_a_document_that_breaks_the_schema(
    result: ImageLevelResult, change: Callable[[dict[str, Any]], Any], field: str
):
    document = copy.deepcopy(image_level_json(result))
    change(document)
    with pytest.raises(ValueError, match=field):
        validate_image_level(document)


def test_results_that_cannot_be_written_or_read(result: ImageLevelResult, tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_image_level(replace(result, settings={"f": len}), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="no results"):
        read_image_level(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(ValueError, match=r"results\.json: "):
        read_image_level(tmp_path)


def test_the_terminal_shows_figures_and_facts(result: ImageLevelResult):
    stream = StringIO()
    print_image_level(result, Console(file=stream, width=120))
    text = re.sub(r" +", " ", stream.getvalue())
    assert "tiny_vit on zoo & co test · 11 images of 3 classes, learned from 1,230 of train" in text
    assert "nearest neighbours, output 61.2" in text
    assert "linear classifier, conv1 71.0 ± 1.4" in text
    assert "clusters, K = 2, ARI 0.0 ± 1.4" in text
    assert "over 2 seeds; naming the most frequent class: 36.4" in text
    assert "left out 1 broken: blue/00" in text


def test_the_page(result: ImageLevelResult, test_split: ClassificationDataset):
    weight = torch.randn(4, 3, 5, 5)
    html = render_image_level_page(result, test_split, filters=weight, command="run <now>")
    page = Page(html)
    order = [section["id"] for section in page.all("section")]
    assert order == ["scores", "layers", "clusters", "filters", "meaning", "run"]
    assert "Nearest neighbours 61.2 output" in page.text
    # conv2 is better on test, but conv1 on the held-out training images.
    assert "Linear classifier 71.0 ± 1.4 conv1" in page.text
    assert "Fine-tuning on few labels 50.0 ± 0.0 10 % of the labels" in page.text
    assert "conv1 71.0 ± 1.4 −3.0 conv2 74.0 ± 1.4 best" in page.text
    assert "conv1 learning rate 3, weight decay 1e-05" in page.text
    assert "Clusters, K = 2, ARI 0.0 ± 1.4 -1.0, 1.0" in page.text
    assert "blue 67 % of 3 images Cluster 4, then red 33 %" in page.text
    assert "The 4 filters of 5 × 5 pixels" in page.text
    assert "00.png is <broken>" in page.text
    assert "protocol.knn.neighbours 20" in page.text
    assert "run <now>" in page.texts
    assert "script" not in {tag for tag, _ in page.tags}
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))


def test_the_gallery_shows_the_images_that_were_scored(
    result: ImageLevelResult, test_split: ClassificationDataset
):
    page = Page(render_image_level_page(result, test_split))
    shown = [image["alt"] for image in page.all("img")]
    assert shown == ["blue, blue/01", "red, red/00", "blue, blue/02", "green, green/00"]
    names = [text for text in page.texts if text in ("blue", "red", "green")]
    assert names == ["blue", "red", "green"], "titles, and the one example of another class"


def test_an_image_that_broke_since_is_left_out(
    result: ImageLevelResult, test_split: ClassificationDataset
):
    truncate(test_split.image_path(1))
    page = Page(render_image_level_page(result, test_split))
    assert len(page.all("img")) == 3


def test_parts_without_content_are_left_out(
    result: ImageLevelResult, test_split: ClassificationDataset, tmp_path: Path
):
    bare = replace(result, scores=result.scores[:1], clusters=(), labels_used={})
    path = write_image_level_page(bare, test_split, tmp_path / "out")
    page = Page(path.read_text(encoding="utf-8"))
    assert [section["id"] for section in page.all("section")] == ["scores", "meaning", "run"]
    assert "standard deviation" not in page.text


def test_links_point_at_ids_that_exist_once(
    result: ImageLevelResult, test_split: ClassificationDataset
):
    page = Page(render_image_level_page(result, test_split, command="x"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link["href"])[1:] for link in page.all("a")]
    targets += [str(a["aria-labelledby"]) for _, a in page.tags if "aria-labelledby" in a]
    assert set(targets) <= set(ids)
