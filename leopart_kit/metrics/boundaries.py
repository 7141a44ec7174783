"""Match of the outlines of a prediction with those of the ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

_LEFT_OUT = np.iinfo(np.int32).min


@dataclass(frozen=True)
class BoundaryCounts:
    """Boundary pixels of prediction and ground truth, and those near one of the other.

    Counts of images are added with `+`; the rates of the sum are those of the set, in percent. A
    rate over no boundary pixel is 0, except that two maps without any boundary agree: 100.
    """

    predicted: int = 0
    predicted_near: int = 0
    target: int = 0
    target_near: int = 0

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(
            self.predicted + other.predicted,
            self.predicted_near + other.predicted_near,
            self.target + other.target,
            self.target_near + other.target_near,
        )

    @property
    def precision(self) -> float:
        """Share of the predicted boundary that is near a true one, in percent."""
        return self._rate(self.predicted_near, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the true boundary that is near a predicted one, in percent."""
        return self._rate(self.target_near, self.target)

    @property
    def f_measure(self) -> float:
        """Harmonic mean of precision and recall, in percent."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / max(precision + recall, 1e-12)

    def _rate(self, near: int, total: int) -> float:
        if self.predicted == self.target == 0:
            return 100.0
        return 100.0 * near / max(total, 1)


def boundary_counts(
    target: Tensor | np.ndarray,
    prediction: Tensor | np.ndarray,
    *,
    tolerance: float = 16,
    ignore_index: int = 255,
) -> BoundaryCounts:
    """Counts boundary pixels of one image that have one of the other map within the tolerance.

    A pixel is on a boundary if its right or lower neighbour has another id; which ids, does not
    matter. Ignored pixels take the id of the nearest labelled pixel first. Otherwise no boundary
    would be left where every outline is ignored (the 255 of Pascal VOC). Those further than the
    tolerance from a labelled pixel are left out of both maps.

    Args:
        target: `[H, W]` class ids; 448 × 448 for the tolerance of 16 used with Leopart.
        prediction: `[H, W]` ids of classes or clusters.
        tolerance: largest Euclidean distance of matching boundary pixels, in pixels.
        ignore_index: target id of ignored pixels.

    Raises:
        ValueError: maps that are not integer `[H, W]` of one size, or a negative tolerance.

    Source: the measure of Martin, Fowlkes and Malik, PAMI 2004, with matching by distance alone.
    """
    truth, guess = _ids(target, "target"), _ids(prediction, "prediction")
    if truth.shape != guess.shape:
        raise ValueError(
            f"target {list(truth.shape)} and prediction {list(guess.shape)} differ in size; resize "
            "one to the other first"
        )
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    truth = _fill_ignored(truth, ignore_index, tolerance)
    true_boundary = _boundary(truth)
    guessed_boundary = _boundary(np.where(truth == _LEFT_OUT, _LEFT_OUT, guess))
    near_true = _distance_to(true_boundary) <= tolerance
    near_guessed = _distance_to(guessed_boundary) <= tolerance
    return BoundaryCounts(
        predicted=int(guessed_boundary.sum()),
        predicted_near=int((guessed_boundary & near_true).sum()),
        target=int(true_boundary.sum()),
        target_near=int((true_boundary & near_guessed).sum()),
    )


def _ids(ids: Tensor | np.ndarray, role: str) -> np.ndarray:
    array = ids.detach().cpu().numpy() if isinstance(ids, Tensor) else np.asarray(ids)
    if array.ndim != 2 or array.dtype.kind not in "iub":
        raise ValueError(
            f"{role} must hold integer ids [H, W], got {array.dtype} {list(array.shape)}"
        )
    return array.astype(np.int32)


def _fill_ignored(ids: np.ndarray, ignore_index: int, tolerance: float) -> np.ndarray:
    """Ignored pixels take the nearest id; `_LEFT_OUT` where none is within the tolerance."""
    ignored = ids == ignore_index
    if not ignored.any():
        return ids
    if ignored.all():
        return np.full_like(ids, _LEFT_OUT)
    distance, nearest = cv2.distanceTransformWithLabels(
        ignored.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    id_of_label = np.zeros(nearest.max() + 1, dtype=ids.dtype)
    id_of_label[nearest[~ignored]] = ids[~ignored]
    return np.where(distance <= tolerance, id_of_label[nearest], _LEFT_OUT).astype(ids.dtype)


def _boundary(ids: np.ndarray) -> np.ndarray:
    boundary = np.zeros(ids.shape, dtype=bool)
    boundary[:, :-1] |= _differs(ids[:, :-1], ids[:, 1:])
    boundary[:-1] |= _differs(ids[:-1], ids[1:])
    return boundary


def _differs(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first != second) & (first != _LEFT_OUT) & (second != _LEFT_OUT)


def _distance_to(boundary: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the boundary, infinite if there is none."""
    if not boundary.any():
        return np.full(boundary.shape, np.inf)
    return cv2.distanceTransform((~boundary).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
