"""The schema of results.json as types, and a check that names the field at fault."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    with_config,
)
from typing_extensions import TypedDict

from leopart_kit.evaluation.result import SCHEMA_VERSION
from leopart_kit.faults_in_words import in_words
from leopart_kit.settings import NotNegative, Percent, Whole

stored = with_config(strict=True, extra="allow", allow_inf_nan=False)
"""Mark of a document: types are strict, and further fields are what newer runs may say."""


def _ordered(interval: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = interval
    if low is not None and high is not None and low > high:
        raise ValueError("must be [low, high]")
    return interval


Rate = Percent | None
Spread = NotNegative | None
Interval = Annotated[tuple[Rate, Rate], Field(strict=False), AfterValidator(_ordered)]


class Summary(TypedDict):
    mean: Rate
    std: Spread
    per_seed: Annotated[list[Rate], Field(min_length=1)]
    ci95: Interval


class Rates(TypedDict):
    miou: Summary
    miou_present: Summary
    pixel_accuracy: Summary
    miou_union: NotRequired[Summary]  # files of earlier releases have none


class ClassScore(TypedDict):
    id: Whole
    name: str
    iou: Rate
    std: Spread
    ci95: Interval
    pixels: Whole


class Table(Rates):
    resolution: str
    refinement: str
    per_class: list[ClassScore]


class LeftOut(TypedDict):
    name: str
    reason: str


class Dataset(TypedDict):
    name: str
    split: str
    root: str
    label_set: str | None
    num_images: Whole
    num_classes: Whole
    classes_present: list[Whole]
    class_names: list[str]
    broken: list[LeftOut]
    notes: list[str]


class Encoder(TypedDict):
    name: str
    weights: str
    sha256: str


class Matching(TypedDict):
    rule: str
    cluster_to_class: dict[str, list[int]]


class LabelsUsed(TypedDict):
    fit: bool
    select: bool
    match: bool


class Published(TypedDict):
    method: str
    encoder: str
    source: str
    miou: Rate
    pixel_accuracy: Rate


class Benchmark(TypedDict):
    name: str
    scored_at: str
    tolerance: NotNegative
    published: list[Published]
    changed: NotRequired[dict[str, list[Any]]]  # older results do not have it


@stored
class Document(TypedDict):
    schema_version: int
    protocol: str
    dataset: Dataset
    encoder: Encoder
    settings: dict[str, Any]
    # Empty where nothing was scored, complete otherwise.
    metrics: Annotated[Rates, WrapValidator(lambda value, check: value and check(value))]
    scores: list[Table]
    matching: Matching | None
    labels_used: LabelsUsed
    timing_seconds: dict[str, NotNegative]
    peak_memory_mb: NotNegative
    versions: dict[str, str]
    git_sha: str | None
    details: dict[str, Any]
    confusion: list[list[Whole]] | None
    benchmark: Benchmark | None


def validate(document: Any) -> None:
    """Check a decoded results.json against the schema.

    Raises:
        ValueError: a field is missing or wrong; its path, as `scores[0].per_class[3].iou`, and
            what it should be are named.
    """
    check_document(document, Document, SCHEMA_VERSION)
    for problem in _disagreements(document):
        raise ValueError(problem)


def check_document(document: Any, schema: type, version: int) -> None:
    """Check a decoded JSON object of this `schema_version` against a `TypedDict`.

    Raises:
        ValueError: as `validate`.
    """
    found = document.get("schema_version", version) if isinstance(document, dict) else version
    if found != version:
        raise ValueError(f"schema_version is {found!r}, this release reads {version}")
    try:
        _adapter(schema).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        path = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in first["loc"])
        path = path.removeprefix(".") or "the document"
        if first["type"] == "missing":
            raise ValueError(f"{path} is missing") from None
        shown = repr(first["input"])
        shown = shown if len(shown) <= 40 else f"{shown[:37]}…"
        raise ValueError(f"{path} {in_words(first)}, got {shown}") from None


_adapter = cache(TypeAdapter)


def _disagreements(document: dict[str, Any]) -> Iterator[str]:
    """Rules that types do not say, where they are broken."""
    num_classes = document["dataset"]["num_classes"]
    if len(document["dataset"]["class_names"]) != num_classes:
        yield f"dataset.class_names must hold num_classes = {num_classes} names"
    scores = document["scores"]
    rates = Rates.__annotations__
    headline = {name: scores[0][name] for name in rates if name in scores[0]} if scores else {}
    if document["metrics"] != headline:
        yield "metrics must be those of scores[0], the headline"
    for path, class_id, lowest in _class_ids(document):
        if not lowest <= class_id < num_classes:
            yield f"{path} must be a class id from {lowest} to {num_classes - 1}, got {class_id}"
    rows = document["confusion"]
    if rows is not None and {len(rows), *(len(row) - 1 for row in rows)} != {num_classes}:
        yield f"confusion must be {num_classes} rows of {num_classes + 1} counts"
    for name in ("settings", "details"):
        for path in _not_finite(document[name], name):
            yield f"{path} must be a finite number"


def _class_ids(document: dict[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Path, id and lowest id of every class that is named by its id."""
    for index, class_id in enumerate(document["dataset"]["classes_present"]):
        yield f"dataset.classes_present[{index}]", class_id, 0
    for row, table in enumerate(document["scores"]):
        for column, score in enumerate(table["per_class"]):
            yield f"scores[{row}].per_class[{column}].id", score["id"], 0
    matching = document["matching"] or {"cluster_to_class": {}}
    for seed, classes in matching["cluster_to_class"].items():
        for cluster, class_id in enumerate(classes):
            yield f"matching.cluster_to_class.{seed}[{cluster}]", class_id, -1


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path
