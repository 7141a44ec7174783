"""results.json: everything a run measured, in a form that outlives the code that wrote it.

It lies in the output folder, which is checked before the work starts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.evaluation.result import SCHEMA_VERSION, Result, ScoreTable
from leopart_kit.input_files import read_json
from leopart_kit.report.schema import validate
from leopart_kit.whole_file import remove_leftovers, scratch_file, whole_file

RESULTS_NAME = "results.json"
PER_IMAGE_NAME = "per_image.npz"


def to_json(result: Result) -> dict[str, Any]:
    """The result as plain JSON values; a rate that does not exist (NaN) is null.

    Beyond the headline fields it holds `confusion` (`[C, C + 1]`, the last column counts pixels
    given to no class), `details` of the protocol, and of the data set its root, label set, class
    names, notes and every sample left out.

    Raises:
        ValueError: a setting or detail is of a type that JSON cannot hold; names the field.
    """
    matching = result.matching
    document = {
        "schema_version": SCHEMA_VERSION,
        "protocol": result.protocol,
        "dataset": asdict(result.dataset),
        "encoder": asdict(result.encoder),
        "settings": result.settings,
        "metrics": {name: asdict(summary) for name, summary in result.metrics.items()},
        "scores": [_table(table) for table in result.scores],
        "matching": matching
        and {"rule": matching.rule, "cluster_to_class": matching.cluster_to_class},
        "labels_used": asdict(result.labels_used),
        "timing_seconds": result.timing_seconds,
        "peak_memory_mb": result.peak_memory_mb,
        "versions": result.versions,
        "git_sha": result.git_sha,
        "details": result.details,
        "confusion": result.confusion,
        "benchmark": result.benchmark and asdict(result.benchmark),
    }
    return {key: _plain(value, key) for key, value in document.items()}


def write_results(result: Result, output_dir: str | Path) -> Path:
    """Write `results.json`, and `per_image.npz` where images were scored; returns the former.

    `per_image.npz` holds `names` `[N]` and, by resolution, int64 `[seeds, N, C, 3]` counts (true
    positives, false positives, false negatives), from which two runs are compared image by image.

    Raises:
        ValueError: the folder cannot be written, or the result breaks the schema.
        OSError: a file cannot be written; carries its name.
    """
    folder = writable_output_dir(output_dir)
    document = to_json(result)
    validate(document)
    if result.per_image:
        with whole_file(folder / PER_IMAGE_NAME) as temporary, temporary.open("wb") as file:
            arrays = {"names": np.asarray(result.image_names, dtype=str), **result.per_image}
            np.savez_compressed(file, allow_pickle=False, **arrays)
    else:
        (folder / PER_IMAGE_NAME).unlink(missing_ok=True)  # of an earlier run
    return write_json(document, folder / RESULTS_NAME)


def read_results(path: str | Path) -> dict[str, Any]:
    """Read and validate a `results.json`; a folder means the file of that name in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or breaks the schema; names file and field.
    """
    return read_document(path, validate)


def read_document(path: str | Path, check: Callable[[Any], None]) -> dict[str, Any]:
    """Read a `results.json` and check it; a folder means the file of that name in it.

    Raises: as `read_results`.
    """
    path = Path(path)
    file = path / RESULTS_NAME if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"no results at {file}; has the run finished?")
    document = read_json(file)
    try:
        check(document)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    return document


def read_per_image(path: str | Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Read `per_image.npz`: image names and, by resolution, counts `[seeds, N, C, 3]`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    path = Path(path)
    file = path / PER_IMAGE_NAME if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no per-image counts at {file}; runs without masks have none")
    try:
        with np.load(file, allow_pickle=False) as archive:
            counts = {key: archive[key] for key in archive.files if key != "names"}
            return tuple(archive["names"].tolist()), counts
    # Damaged bytes end in a dozen kinds of errors inside of zipfile, zlib and NumPy.
    except Exception as error:
        raise ValueError(f"{file} is damaged ({error}): run the evaluation again") from error


def _table(table: ScoreTable) -> dict[str, Any]:
    fields = asdict(table)
    return {**fields, "per_class": list(fields["per_class"])}


def _plain(value: Any, field: str) -> Any:
    """Numpy, tuples, paths and non-finite floats as what JSON knows."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist(), field)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{field}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Path):
        return str(value)
    raise ValueError(
        f"{field} holds a {type(value).__name__}, which JSON cannot store; convert it first"
    )


def write_json(values: Any, path: Path) -> Path:
    """Write plain JSON values; a number that is not finite is a `ValueError`."""
    # Escaped to ASCII, as names of files that are not UTF-8 have no other form in JSON.
    text = json.dumps(values, indent=1, allow_nan=False)
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_versioned(path: Path, what: str, version: int, field: str) -> dict[str, Any]:
    """Read an object with this `schema_version` and this field; `what` names it in errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or nothing of this release.
    """
    if not path.exists():
        raise FileNotFoundError(f"no {what} at {path}")
    values = read_json(path)
    known = isinstance(values, dict) and values.get("schema_version") == version
    if not known or field not in values:
        raise ValueError(f"{path} is no {what} of this release: write it again")
    return values


_BLOCK = 4096  # bytes


def writable_output_dir(path: str | os.PathLike[str]) -> Path:
    """Create the folder, its parents too, and make sure that files can be written into it.

    Meant for the start of a run, so that hours of work do not end at a folder that takes nothing.
    How much space a run needs is not asked here: who reserves or writes a file says it.
    Temporary files of an earlier run that was killed are removed.

    Raises:
        ValueError: the path is a file, may not be written, or its disk is full; names the folder.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers([folder])
        with scratch_file(folder / "write_test") as probe:
            probe.write_bytes(bytes(_BLOCK))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(
            f"cannot write to {folder}: {reason}; free some space or choose another output_dir"
        ) from error
    return folder
