"""Refine label maps and class probabilities to the edges of their image."""

from __future__ import annotations

from typing import Literal, get_args

import cv2
import numpy as np

from leopart_kit.masks.dense_crf import dense_crf
from leopart_kit.masks.mean_field import mean_field
from leopart_kit.masks.pairwise import FIELD, GRID, Pairwise

Refinement = Literal["dense_crf", "bilateral_grid"]

REFINEMENTS: tuple[Refinement, ...] = get_args(Refinement)

_MAX_GRID_SIDE = 512  # pixels; keeps a large photo's time and memory within bounds
_LEAST_PROBABILITY = 1e-5


def refine(
    image: np.ndarray,
    labels: np.ndarray,
    method: Refinement = "dense_crf",
    *,
    confidence: float = 0.9,
    pairwise: Pairwise | None = None,
) -> np.ndarray:
    """Move the borders of a label map to the edges of the image.

    The map may be coarser than the image: a map of patches, interpolated linearly, is a better
    start than the same map enlarged to blocks. Only the labels that occur take part, and every
    integer is a label like any other: where pixels must stay ignored, mask them afterwards. With
    one label, or on an image of one colour, the map is only resized (nearest).

    Args:
        image: uint8 RGB `[H, W, 3]`.
        labels: integers `[h, w]`, of the image's size or another.
        method: `dense_crf`, the model and parameters of the papers (extra `crf`), or
            `bilateral_grid`, the same model filtered more coarsely, on an image of half the size
            (at most 512 pixels a side): more than ten times as fast and no worse.
        confidence: how far to trust a label, between 0 and 1: this share goes to it and the rest
            to all labels evenly. Lower it (0.7) for maps with much noise inside the regions.
        pairwise: other parameters than the method's own, in pixels of the image it works on.

    Returns:
        `[H, W]` of the labels' dtype; no label that was not there before.

    Raises:
        ValueError: an image or labels of another kind, an unknown method, a confidence out of
            range, or `dense_crf` without its extra.
    """
    _check_image(image)
    if labels.ndim != 2 or labels.size == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers [h, w], got {labels.dtype} {labels.shape}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    ids = np.unique(labels)
    if len(ids) == 1 or _is_flat(image):
        return _resize_nearest(labels, image.shape[:2])
    evidence = (labels == ids[:, None, None]) * np.float32(confidence)
    evidence += np.float32((1 - confidence) / len(ids))
    return ids[refine_probabilities(image, evidence, method, pairwise=pairwise)]


def refine_probabilities(
    image: np.ndarray,
    probabilities: np.ndarray,
    method: Refinement = "dense_crf",
    *,
    pairwise: Pairwise | None = None,
) -> np.ndarray:
    """Most likely label of every pixel after refinement.

    Args:
        image: uint8 RGB `[H, W, 3]`.
        probabilities: floats `[L, h, w]`, at least 0, of the image's size or another (resized
            linearly); they are normalised over the labels.
        method, pairwise: as for `refine`.

    Returns:
        int64 `[H, W]`, 0 to L − 1.

    Raises:
        ValueError: as `refine`, or probabilities that are negative or not finite.
    """
    _check_image(image)
    _check_probabilities(probabilities)
    height, width = image.shape[:2]
    if method == "dense_crf":
        unary = _normalised(_resize_planes(probabilities, (height, width)))
        return dense_crf(image, unary, pairwise or FIELD).argmax(axis=0)
    if method == "bilateral_grid":
        scale = min(0.5, _MAX_GRID_SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        unary = _normalised(_resize_planes(probabilities, size))
        marginals = mean_field(small, unary, pairwise or GRID)
        return _largest_plane(marginals, (height, width))
    raise ValueError(f"unknown refinement {method!r}; there is {', '.join(REFINEMENTS)}")


def _normalised(planes: np.ndarray) -> np.ndarray:
    planes = np.maximum(planes, np.float32(_LEAST_PROBABILITY))
    return planes / planes.sum(axis=0)


def _resize_planes(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[L, h, w]` → float32 `[L, *size]`: linear, and averaged over areas where it shrinks."""
    planes = np.asarray(planes, dtype=np.float32)
    if planes.shape[1:] == size:
        return planes
    shrinks = size[0] <= planes.shape[1] and size[1] <= planes.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(plane, size[::-1], interpolation=how) for plane in planes])


def _largest_plane(planes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The argmax over `[L, h, w]` at another size, with two planes of it in memory, not L."""
    best = np.full(size, -np.inf, dtype=np.float32)
    labels = np.zeros(size, dtype=np.int64)
    for number, plane in enumerate(planes):
        resized = _resize_planes(plane[None], size)[0]
        larger = resized > best
        labels[larger] = number
        np.maximum(best, resized, out=best)
    return labels


def _resize_nearest(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, labels.shape, strict=True))
    return labels[rows[:, None], columns]


def _is_flat(image: np.ndarray) -> bool:
    return bool((image == image[0, 0]).all())


def _check_image(image: np.ndarray) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"the image must be uint8 [H, W, 3], got {image.dtype} {image.shape}")


def _check_probabilities(probabilities: np.ndarray) -> None:
    if probabilities.ndim != 3 or probabilities.size == 0:
        raise ValueError(f"probabilities must be [L, h, w], got shape {probabilities.shape}")
    if not np.isfinite(probabilities).all() or probabilities.min() < 0:
        raise ValueError("probabilities must be finite and at least 0: apply a softmax to logits")
