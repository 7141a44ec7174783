"""From scores of patches to a label of every pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_PIXELS_AT_ONCE = 2**22  # a photograph of a gigapixel would take hundreds of gigabytes


def nearest_labels(patch_labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Each pixel takes the label of the patch that its centre lies in.

    Args:
        patch_labels: `[h, w]`.
        size: `(H, W)` of the image.

    Returns:
        Labels `[H, W]`.
    """
    rows, columns = (
        np.minimum(_centres(pixels, patches).astype(np.int64), patches - 1)
        for pixels, patches in zip(size, patch_labels.shape, strict=True)
    )
    return patch_labels[rows[:, None], columns]


def linear_labels(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Each pixel takes the best score after bilinear interpolation between patch centres.

    The candidates of a pixel are the best clusters of the four patches around it. So the cost does
    not grow with the number of clusters, and none appears where no patch beside has it.

    Args:
        scores: float `[h, w, K]`, higher is better.
        size: `(H, W)` of the image.

    Returns:
        int64 `[H, W]`, 0 to K - 1.
    """
    height, width, num_clusters = scores.shape
    rows, columns = (
        _neighbours(pixels, patches) for pixels, patches in zip(size, (height, width), strict=True)
    )
    best = scores.argmax(axis=2)
    corners = _corners(height, width)
    candidates = best.ravel()[corners]  # [h·w, 4], by the patch before a pixel
    mixed = (candidates != candidates[:, :1]).any(axis=1)
    place = np.cumsum(mixed) - 1  # of a mixed cell among the mixed ones
    choices = candidates[mixed]
    at_corners = scores.reshape(-1, num_clusters)[corners[mixed][:, :, None], choices[:, None, :]]
    labels = np.empty(size, dtype=np.int64)
    step = max(1, _PIXELS_AT_ONCE // size[1])
    for start in range(0, size[0], step):
        lower, share = rows.lower[start : start + step], rows.share[start : start + step]
        block = labels[start : start + step]
        block[:] = best[lower[:, None], columns.lower]
        y, x = np.nonzero(mixed.reshape(height, width)[lower[:, None], columns.lower])
        cell = place[lower[y] * width + columns.lower[x]]
        below, right = share[y, None], columns.share[x, None]
        top = at_corners[cell, 0] + right * (at_corners[cell, 1] - at_corners[cell, 0])
        bottom = at_corners[cell, 2] + right * (at_corners[cell, 3] - at_corners[cell, 2])
        winner = (top + below * (bottom - top)).argmax(axis=1)
        block[y, x] = choices[cell, winner]
    return labels


def _corners(height: int, width: int) -> np.ndarray:
    """Each patch and its neighbours right, below and both, as flat indices `[h·w, 4]`."""
    down, right = np.minimum(np.arange(1, height + 1), height - 1), np.arange(1, width + 1)
    right = np.minimum(right, width - 1)
    y, x = np.arange(height)[:, None], np.arange(width)
    parts = (
        y * width + x,
        y * width + right,
        down[:, None] * width + x,
        down[:, None] * width + right,
    )
    return np.stack(parts, axis=-1).reshape(-1, 4)


class _Neighbours(NamedTuple):
    """For each pixel the patch centre before it, and how far it is from that to the next."""

    lower: np.ndarray
    share: np.ndarray


def _centres(pixels: int, patches: int) -> np.ndarray:
    """Centres of the pixels in units of patches, `[pixels]`."""
    # Multiplied first: exact where a centre lies on the border of two patches.
    return (np.arange(pixels) + 0.5) * patches / pixels


def _neighbours(pixels: int, patches: int) -> _Neighbours:
    """Along one side; beyond the centre of the first and the last patch these go on."""
    position = np.clip(_centres(pixels, patches) - 0.5, 0, patches - 1)
    lower = position.astype(np.int64)
    return _Neighbours(lower, (position - lower).astype(np.float32))
