"""results.json of an image-level evaluation, with a schema of its own."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from leopart_kit.image_level.evaluation.result import SCHEMA_VERSION, ImageLevelResult
from leopart_kit.report.results_json import (
    RESULTS_NAME,
    read_document,
    writable_output_dir,
    write_json,
)
from leopart_kit.report.schema import check_document, stored

KIND = "image_level"


class Score(TypedDict):
    evaluation: str
    variant: str
    metric: str
    mean: float
    std: float
    per_seed: Annotated[list[float], Field(min_length=1)]
    chosen: list[Any]


@stored
class Document(TypedDict):
    dataset: dict[str, Any]
    encoder: dict[str, Any]
    settings: dict[str, Any]
    scores: Annotated[list[Score], Field(min_length=1)]
    labels_used: dict[str, Any]
    timing_seconds: dict[str, Any]
    peak_memory_mb: float
    versions: dict[str, Any]
    git_sha: str | None
    clusters: list[Any]


def image_level_json(result: ImageLevelResult) -> dict[str, Any]:
    """The result as plain JSON values, checked against the schema.

    Raises:
        ValueError: a field that JSON cannot hold, or one that breaks the schema.
    """
    document = {"kind": KIND, "schema_version": SCHEMA_VERSION, **asdict(result)}
    try:
        document = json.loads(json.dumps(document, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the result cannot be stored as JSON: {error}") from error
    validate_image_level(document)
    return document


def validate_image_level(document: Any) -> None:
    """Check a decoded document; unknown further fields are allowed.

    Raises:
        ValueError: names the field at fault and what it should be.
    """
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError(f"kind must be {KIND!r}: these are results of something else")
    check_document(document, Document, SCHEMA_VERSION)
    for index, score in enumerate(document["scores"]):
        path = f"scores[{index}]"
        # Agreement beyond chance may fall below 0.
        lowest = -100 if score["metric"] == "ari" else 0
        for value in (score["mean"], *score["per_seed"]):
            if not lowest <= value <= 100:
                raise ValueError(f"{path} must hold percent, {lowest} to 100, got {value!r}")
        mean = math.fsum(score["per_seed"]) / len(score["per_seed"])
        if not math.isclose(mean, score["mean"], abs_tol=1e-6):
            raise ValueError(f"{path}.mean must be that of per_seed, {mean:g}")


def write_image_level(result: ImageLevelResult, output_dir: str | Path) -> Path:
    """Write `results.json` and return its path.

    Raises:
        ValueError: the folder cannot be written, or the result breaks the schema.
        OSError: the file cannot be written; carries its name.
    """
    path = writable_output_dir(output_dir) / RESULTS_NAME
    return write_json(image_level_json(result), path)


def read_image_level(path: str | Path) -> dict[str, Any]:
    """Read and check results of an image-level evaluation; a folder means the file in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or breaks the schema; names file and field.
    """
    return read_document(path, validate_image_level)
