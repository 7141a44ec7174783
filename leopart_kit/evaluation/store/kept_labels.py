"""A label for each of many tokens, found by several processes together and kept on disk."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from leopart_kit.evaluation.store.store_files import StageCache, shared_array
from leopart_kit.evaluation.store.token_share import TokenShare
from leopart_kit.input_files import read_json
from leopart_kit.mapped_array import RowWriter
from leopart_kit.processes import Processes
from leopart_kit.whole_file import write_whole_text

logger = logging.getLogger(__name__)

_CHECKED = 1 << 24  # labels at a time

Found = tuple[np.ndarray, dict[str, Any]]


def kept_labels(
    cache: StageCache,
    stage: str,
    key: Mapping[str, Any],
    share: TokenShare,
    compute: Callable[[], Found],
    processes: Processes,
) -> tuple[Path, dict[str, Any]]:
    """File of the labels of a stage, and their report: from before, or else from `compute`.

    Args:
        key: what determines the labels beside the cache's own key; plain JSON values.
        share: the tokens that this process labels.
        compute: labels `[len(share)]` and a report of plain JSON values; all processes are in it
            at once. The report of the first one is kept.
        processes: those that call this together.

    Returns:
        The file, for `read_labels`, and the report; the same in every process.
    """
    file = cache.path(stage, key).with_suffix(".npy")
    note = file.with_suffix(".json")
    report = processes.once(lambda: _reusable(file, note, share.total))
    if report is not None:
        return file, report
    with shared_array(file, (share.total,), np.int32, processes) as temporary:

        def fill() -> dict[str, Any]:
            labels, report = compute()
            with RowWriter(temporary) as writer:
                writer.write(share.start, labels)
            return report

        report = processes.together(fill)
    if processes.first:
        content = {"report": report, "crc32": _checksum(read_labels(file))}
        write_whole_text(note, json.dumps(content) + "\n")
    processes.wait()
    return file, report


def read_labels(file: Path) -> np.ndarray:
    """int32 `[M]`, mapped; what is written into it stays in memory."""
    return np.load(file, mmap_mode="c", allow_pickle=False)


def _reusable(file: Path, note: Path, total: int) -> dict[str, Any] | None:
    """The report of labels that are as they were written; None where there are none."""
    if not note.exists():
        return None
    try:
        content, labels = read_json(note), read_labels(file)
        if labels.shape != (total,) or labels.dtype != np.int32:
            raise ValueError(f"it holds {labels.dtype} {list(labels.shape)}")
        if _checksum(labels) != content["crc32"]:
            raise ValueError("it was changed")
        report = content["report"]
    except Exception as error:  # NumPy reads a damaged head as many other things
        reason = " ".join(str(error).split())
        logger.warning("%s is not as it was written (%s); it is made anew", file, reason)
        return None
    logger.info("%s: reused", file)
    return report


def _checksum(labels: np.ndarray) -> int:
    found = 0
    for start in range(0, len(labels), _CHECKED):
        found = zlib.crc32(np.ascontiguousarray(labels[start : start + _CHECKED]).data, found)
    return found
