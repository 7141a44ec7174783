"""A hand-made result with three classes, one of them absent, and two seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leopart_kit.evaluation.result import (
    Benchmark,
    ClassScore,
    DatasetInfo,
    EncoderInfo,
    LabelsUsed,
    Matching,
    PublishedFigure,
    Result,
    Sample,
    ScoreTable,
    Summary,
)

NAN = float("nan")
NAMES = ("sky & sea", "<cat>", "absent")


def _table(resolution: str, shift: float) -> ScoreTable:
    def summary(mean: float, spread: float) -> Summary:
        seeds = (mean - 0.5 + shift, mean + 0.5 + shift)
        return Summary(mean + shift, spread, seeds, (mean - 3.25 + shift, mean + 4.25 + shift))

    return ScoreTable(
        resolution,
        "none",
        miou=summary(41.7, 0.7),
        miou_present=summary(62.6, 0.8),
        miou_union=summary(51.2, 0.4),
        pixel_accuracy=summary(80.1, 0.9),
        per_class=(
            ClassScore(0, NAMES[0], 71.4 + shift, 1.5, (66.6, 75.5), 9000),
            ClassScore(1, NAMES[1], 53.8 + shift, 2.5, (44.4, 58.8), 1000),
            ClassScore(2, NAMES[2], 0.0, 0.0, (NAN, NAN), 0),
        ),
    )


@pytest.fixture
def result() -> Result:
    return Result(
        protocol="overclustering",
        dataset=DatasetInfo(
            name="zoo",
            split="val",
            root="/data/zoo",
            label_set=None,
            num_images=2,
            num_classes=3,
            classes_present=(0, 1),
            class_names=NAMES,
            broken=({"name": "third", "reason": "third.jpg is truncated"},),
            notes=("masks are palette PNGs",),
        ),
        encoder=EncoderInfo("tiny_vit", "/weights/tiny.pt", "ab" * 32),
        settings={"num_clusters": 4, "seeds": (3, 5), "kmeans": {"metric": "euclidean"}},
        scores=(_table("100x100", 0.0), _table("full", -2.0)),
        matching=Matching("many_to_one_precision", {3: (0, 1, 1, -1), 5: (1, 0, 0, 1)}),
        labels_used=LabelsUsed(fit=False, select=False, match=True),
        timing_seconds={"features": 65.0, "kmeans": 2.25},
        peak_memory_mb=1234.5,
        versions={"python": "3.12.1", "torch": "2.6.0"},
        git_sha=None,
        details={"num_clusters": 4, "kmeans": [{"inertia": 7.5}, {"inertia": 8.5}]},
        benchmark=Benchmark(
            "zoo_k4",
            "100x100",
            0.75,
            (
                PublishedFigure("Method A", "ViT-S/16", "its <README>", miou=53.25),
                PublishedFigure("Method B", "ViT-B/8", "its paper", 61.0, 88.8),
            ),
        ),
        confusion=np.array([[8100, 900, 0, 0], [300, 600, 0, 100], [0, 0, 0, 0]]),
        image_names=("first", "second"),
        per_image={
            "100x100": np.arange(36).reshape(2, 2, 3, 3),
            "full": np.arange(36).reshape(2, 2, 3, 3) * 2,
        },
    )


@pytest.fixture
def unlabelled(result: Result) -> Result:
    """The same run on images without masks."""
    return replace(
        result,
        dataset=replace(result.dataset, num_classes=0, classes_present=(), class_names=()),
        scores=(),
        matching=None,
        labels_used=LabelsUsed(fit=False, select=False, match=False),
        confusion=None,
        per_image={},
    )


@pytest.fixture
def sample() -> Sample:
    rng = np.random.default_rng(0)
    target = np.zeros((30, 40), dtype=np.int64)
    target[:, 20:] = 1
    target[:, 19:21] = 255
    prediction = np.where(np.arange(40) < 25, 0, 1)[None].repeat(30, axis=0)
    return Sample(
        name="a&b <1>",
        image=rng.integers(0, 256, (30, 40, 3), dtype=np.uint8),
        target=target,
        prediction=prediction,
        clusters=prediction * 3,
    )
