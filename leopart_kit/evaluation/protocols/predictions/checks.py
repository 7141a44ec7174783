"""Checks of a prediction before it is scored: its size and its ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leopart_kit.data import SegmentationDataset, UnknownClassError

Size = tuple[int, ...]  # (H, W)


def check_prediction_size(file: Path, size: Size, image_size: Size, declared: Size | None) -> None:
    """Raise `ValueError` for a size that is neither the image's nor one that may be resized.

    Predictions of the `declared` size may be resized; where none is declared, smaller ones of the
    image's aspect.
    """
    if size in (image_size, declared):
        return
    (height, width), (image_height, image_width) = size, image_size
    smaller = height <= image_height and width <= image_width
    # Less than one pixel of the prediction from the image's aspect.
    same_aspect = abs(height * image_width - width * image_height) < max(image_size)
    if declared is None and smaller and same_aspect:
        return
    raise ValueError(
        f"{file} is {width} x {height} pixels and its image {image_width} x {image_height}; a "
        "prediction must be as large, or smaller with the same aspect (where images were resized "
        f"to another: predictions.size=[{height},{width}])"
    )


def check_class_ids(file: Path, ids: np.ndarray, dataset: SegmentationDataset) -> None:
    """Raise `UnknownClassError` for ids that are no class of the data set, nor 255 for none."""
    highest, none = dataset.num_classes - 1, dataset.ignore_index
    present = np.unique(ids)
    unknown = present[((present < 0) | (present > highest)) & (present != none)]
    if unknown.size:
        raise UnknownClassError(
            f"{file} holds {_listing(unknown)}; label set {dataset.label_set.name} has classes 0 "
            f"to {highest}, and {none} is none: write these ids, or set predictions.kind=clusters "
            "to have clusters matched"
        )


def check_cluster_ids(file: Path, ids: np.ndarray, num_clusters: int | None) -> None:
    """Raise `UnknownClassError` for ids below 0 or, where their number is set, beyond it."""
    present = np.unique(ids)
    if present[0] < 0:
        negative = _listing(present[present < 0])
        raise UnknownClassError(f"{file} holds {negative}; clusters are numbered from 0")
    if num_clusters is not None and present[-1] >= num_clusters:
        raise UnknownClassError(
            f"{file} holds {_listing(present[present >= num_clusters])}; {num_clusters} clusters "
            f"are 0 to {num_clusters - 1}: set predictions.num_clusters higher, or to null"
        )


def _listing(ids: np.ndarray) -> str:
    shown = ", ".join(map(str, ids[:5].tolist())) + (", …" if ids.size > 5 else "")
    return f"id {shown}" if ids.size == 1 else f"ids {shown}"
