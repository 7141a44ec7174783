"""From scores of patches to a label of every pixel.

The patch grid may reach beyond the resized image on the right and below, where the image was
padded to whole patches: `extent` is how many patches (a fraction too) the image itself covers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def nearest_labels(
    patch_labels: np.ndarray, size: tuple[int, int], extent: tuple[float, float]
) -> np.ndarray:
    """Each pixel takes the label of the patch that its centre lies in.

    Args:
        patch_labels: `[h, w]`.
        size: `(H, W)` of the image.
        extent: `(rows, columns)` of patches that the image covers, at most `(h, w)`.

    Returns:
        Labels `[H, W]`.
    """
    rows, columns = (
        np.minimum(_centres(pixels, patches).astype(np.int64), last - 1)
        for pixels, patches, last in zip(size, extent, patch_labels.shape, strict=True)
    )
    return patch_labels[rows[:, None], columns]


def linear_labels(
    scores: np.ndarray, size: tuple[int, int], extent: tuple[float, float]
) -> np.ndarray:
    """Each pixel takes the best score after bilinear interpolation between patch centres.

    Only clusters that are best in some patch of the image are considered, so that the cost does
    not grow with the number of clusters, and none appears that no patch has.

    Args:
        scores: float `[h, w, K]`, higher is better.
        size, extent: see `nearest_labels`.

    Returns:
        int64 `[H, W]`, 0 to K - 1.
    """
    present = np.unique(scores.argmax(axis=2))
    if len(present) == 1:
        return np.full(size, present[0])
    rows, columns = (
        _neighbours(pixels, patches, grid)
        for pixels, patches, grid in zip(size, extent, scores.shape[:2], strict=True)
    )
    by_cluster = scores.transpose(2, 0, 1)[present]
    before, after = by_cluster[..., columns.lower], by_cluster[..., columns.upper]
    lines = before + columns.share * (after - before)
    best = _between_lines(lines[0], rows)
    labels = np.zeros(size, dtype=np.int16)
    for index in range(1, len(present)):
        candidate = _between_lines(lines[index], rows)
        np.copyto(labels, index, where=candidate > best)
        np.maximum(best, candidate, out=best)
    return present[labels]


class _Neighbours(NamedTuple):
    """For each pixel the patch centres before and after it, and how far it is from the former."""

    lower: np.ndarray
    upper: np.ndarray
    share: np.ndarray


def _between_lines(lines: np.ndarray, rows: _Neighbours) -> np.ndarray:
    """`[h, W]` → `[H, W]`. No matrix product: its threads wait for each other on a busy machine."""
    before, values = lines[rows.lower], lines[rows.upper]
    values -= before
    values *= rows.share[:, None]
    values += before
    return values


def _centres(pixels: int, patches: float) -> np.ndarray:
    """Centres of the pixels in units of patches, `[pixels]`."""
    # Multiplied first: exact where a centre lies on the border of two patches.
    return (np.arange(pixels) + 0.5) * patches / pixels


def _neighbours(pixels: int, patches: float, grid: int) -> _Neighbours:
    """Along one side; beyond the centre of the first and the last patch these go on."""
    position = np.clip(_centres(pixels, patches) - 0.5, 0, grid - 1)
    lower = position.astype(np.int64)
    upper = np.minimum(lower + 1, grid - 1)
    return _Neighbours(lower, upper, (position - lower).astype(np.float32))
