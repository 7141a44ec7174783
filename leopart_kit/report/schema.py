"""The schema of results.json, as code that names the field at fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from leopart_kit.evaluation.result import SCHEMA_VERSION

Check = Callable[[Any, str], None]


def validate(document: Any) -> None:
    """Check a decoded results.json against the schema.

    Unknown further fields are allowed: newer runs may say more.

    Raises:
        ValueError: a field is missing or wrong; its path, as `scores[0].per_class[3].iou`, and
            what it should be are named.
    """
    _fields(**{"schema_version": _whole})(document, "")
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version is {document['schema_version']}, this release reads {SCHEMA_VERSION}"
        )
    _DOCUMENT(document, "")
    _validate_agreement(document)


def _fail(value: Any, path: str, wanted: str) -> None:
    shown = repr(value)
    shown = shown if len(shown) <= 40 else shown[:37] + "…"
    raise ValueError(f"{path or 'the document'} must be {wanted}, got {shown}")


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        _fail(value, path, "text")


def _flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        _fail(value, path, "true or false")


def _number(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _fail(value, path, "a finite number")


def _positive(value: Any, path: str) -> None:
    _number(value, path)
    if value < 0:
        _fail(value, path, "0 or more")


def _whole(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < -1:
        _fail(value, path, "a whole number")


def _count(value: Any, path: str) -> None:
    _whole(value, path)
    _positive(value, path)


def _percent(value: Any, path: str) -> None:
    _number(value, path)
    if not 0 <= value <= 100:
        _fail(value, path, "a rate in percent, 0 to 100")


def _interval(value: Any, path: str) -> None:
    _list(_or_null(_percent), length=2)(value, path)
    low, high = value
    if low is not None and high is not None and low > high:
        _fail(value, path, "[low, high]")


def _json(value: Any, path: str) -> None:
    if isinstance(value, dict):
        _mapping(_json)(value, path)
    elif isinstance(value, list):
        _list(_json)(value, path)
    elif value is not None and not isinstance(value, str | bool):
        _number(value, path)


def _or_null(check: Check) -> Check:
    def run(value: Any, path: str) -> None:
        if value is not None:
            check(value, path)

    return run


def _list(check: Check, length: int | None = None, minimum: int = 0) -> Check:
    def run(value: Any, path: str) -> None:
        if not isinstance(value, list):
            _fail(value, path, "a list")
        if length is not None and len(value) != length:
            _fail(value, path, f"a list of {length}")
        if len(value) < minimum:
            _fail(value, path, f"a list of {minimum} or more")
        for index, item in enumerate(value):
            check(item, f"{path}[{index}]")

    return run


def _mapping(check: Check) -> Check:
    def run(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            _fail(value, path, "an object")
        for key, item in value.items():
            check(item, f"{path}.{key}")

    return run


def _fields(**checks: Check) -> Check:
    def run(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            _fail(value, path, "an object")
        for name, check in checks.items():
            field = f"{path}.{name}" if path else name
            if name not in value:
                raise ValueError(f"{field} is missing")
            check(value[name], field)

    return run


_SUMMARY = _fields(
    mean=_or_null(_percent),
    std=_or_null(_positive),
    per_seed=_list(_or_null(_percent), minimum=1),
    ci95=_interval,
)
_METRICS = {"miou": _SUMMARY, "miou_present": _SUMMARY, "pixel_accuracy": _SUMMARY}
_LATER_METRICS = {"miou_union": _SUMMARY}  # that files of earlier releases do not have
_CLASS_SCORE = _fields(
    id=_count,
    name=_text,
    iou=_or_null(_percent),
    std=_or_null(_positive),
    ci95=_interval,
    pixels=_count,
)
_DATASET = _fields(
    name=_text,
    split=_text,
    root=_text,
    label_set=_or_null(_text),
    num_images=_count,
    num_classes=_count,
    classes_present=_list(_count),
    class_names=_list(_text),
    broken=_list(_fields(name=_text, reason=_text)),
    notes=_list(_text),
)


_PUBLISHED = _fields(
    method=_text,
    encoder=_text,
    source=_text,
    miou=_or_null(_percent),
    pixel_accuracy=_or_null(_percent),
)


def _metrics(value: Any, path: str) -> None:
    """Empty where nothing was scored, complete otherwise."""
    if value != {}:
        _rates(value, path)


def _rates(value: Any, path: str) -> None:
    """The summaries of one score table."""
    _fields(**_METRICS)(value, path)
    _fields(**{name: check for name, check in _LATER_METRICS.items() if name in value})(value, path)


def _table(value: Any, path: str) -> None:
    _fields(resolution=_text, refinement=_text, per_class=_list(_CLASS_SCORE))(value, path)
    _rates(value, path)


_DOCUMENT = _fields(
    protocol=_text,
    dataset=_DATASET,
    encoder=_fields(name=_text, weights=_text, sha256=_text),
    settings=_mapping(_json),
    metrics=_metrics,
    scores=_list(_table),
    matching=_or_null(_fields(rule=_text, cluster_to_class=_mapping(_list(_whole)))),
    labels_used=_fields(fit=_flag, select=_flag, match=_flag),
    timing_seconds=_mapping(_positive),
    peak_memory_mb=_positive,
    versions=_mapping(_text),
    git_sha=_or_null(_text),
    details=_mapping(_json),
    confusion=_or_null(_list(_list(_count))),
    benchmark=_or_null(
        _fields(name=_text, scored_at=_text, tolerance=_positive, published=_list(_PUBLISHED))
    ),
)


def _validate_agreement(document: dict[str, Any]) -> None:
    """Rules between two fields."""
    num_classes = document["dataset"]["num_classes"]
    if len(document["dataset"]["class_names"]) != num_classes:
        raise ValueError(f"dataset.class_names must hold num_classes = {num_classes} names")
    for index, class_id in enumerate(document["dataset"]["classes_present"]):
        _class_id(class_id, f"dataset.classes_present[{index}]", num_classes)
    scores = document["scores"]
    rates = [*_METRICS, *_LATER_METRICS]
    headline = {name: scores[0][name] for name in rates if name in scores[0]} if scores else {}
    if document["metrics"] != headline:
        raise ValueError("metrics must be those of scores[0], the headline")
    for row, table in enumerate(scores):
        for column, score in enumerate(table["per_class"]):
            _class_id(score["id"], f"scores[{row}].per_class[{column}].id", num_classes)
    if document["matching"]:
        for seed, classes in document["matching"]["cluster_to_class"].items():
            for cluster, class_id in enumerate(classes):
                path = f"matching.cluster_to_class.{seed}[{cluster}]"
                _class_id(class_id, path, num_classes, lowest=-1)
    confusion = document["confusion"]
    if confusion is not None and (
        len(confusion) != num_classes or any(len(row) != num_classes + 1 for row in confusion)
    ):
        raise ValueError(f"confusion must be {num_classes} rows of {num_classes + 1} counts")


def _class_id(value: int, path: str, num_classes: int, lowest: int = 0) -> None:
    if not lowest <= value < num_classes:
        _fail(value, path, f"a class id from {lowest} to {num_classes - 1}")
