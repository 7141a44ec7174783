"""Label maps on photographs: colours, overlays and outlines, as the pages and sheets draw them."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor

from leopart_kit.data.palettes import cluster_palette as palette

__all__ = ["colour_labels", "fit_labels", "outline", "overlay", "palette"]

_STRIPE = 4  # pixels
_LIGHT, _DARK = (214, 214, 210), (168, 168, 164)


def overlay(
    image: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    colours: np.ndarray | None = None,
    opacity: float = 0.55,
) -> np.ndarray:
    """A photograph under the colours of its labels.

    >>> image, labels = np.zeros((4, 4, 3), np.uint8), np.array([[0, 1], [-1, 1]])
    >>> overlay(image, labels, palette(2), opacity=1)[0, 0].tolist() == palette(2)[0].tolist()
    True

    Args:
        image: uint8 `[H, W, 3]`, or a tensor `[3, H, W]`.
        labels: integers `[h, w]`; where they are not as large as the image, such as ids of patches,
            they are enlarged to it by nearest neighbour.
        colours: uint8 `[n, 3]`, see `palette`; one for each label by default. Labels without a
            colour, such as −1, leave the photograph as it is.
        opacity: of the colours, 0 to 1.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: an image, labels or colours of another form, or an opacity out of range.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must be 0 to 1, got {opacity}")
    photo, fitted, colours = _drawn(image, labels, colours)
    known = _has_colour(fitted, colours)
    tint = colours[np.where(known, fitted, 0)]
    mixed = np.round((1 - opacity) * photo + opacity * tint).astype(np.uint8)
    return np.where(known[..., None], mixed, photo)


def outline(
    image: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    colours: np.ndarray | None = None,
    width: int = 2,
) -> np.ndarray:
    """A photograph with a line along the inner side of every region.

    >>> image, labels = np.zeros((6, 6, 3), np.uint8), np.repeat([[0, 0, 0, 1, 1, 1]], 6, axis=0)
    >>> outline(image, labels, width=1)[0].any(axis=1).tolist()
    [False, False, True, True, False, False]

    Args:
        image, labels, colours: as of `overlay`; a label without a colour gets no line.
        width: of the lines in pixels.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: as `overlay`, or a width that is none.
    """
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be whole pixels, 1 or more, got {width}")
    photo, fitted, colours = _drawn(image, labels, colours)
    reach = 2 * width + 1
    edge = minimum_filter(fitted, reach, mode="nearest") != maximum_filter(
        fitted, reach, mode="nearest"
    )
    line = edge & _has_colour(fitted, colours)
    return np.where(line[..., None], colours[np.where(line, fitted, 0)], photo)


def colour_labels(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Labels `[H, W]` in their colours, uint8 `[H, W, 3]`; those without one hatched in grey."""
    known = _has_colour(labels, colours)
    rows, columns = np.indices(labels.shape)
    stripe = ((rows + columns) // _STRIPE) % 2
    hatch = np.array([_LIGHT, _DARK], dtype=np.uint8)[stripe]
    return np.where(known[..., None], colours[np.where(known, labels, 0)], hatch).astype(np.uint8)


def fit_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels resized to `(H, W)` by nearest neighbour, sampled at pixel centres."""
    if labels.shape == size:
        return labels
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size, labels.shape, strict=True)
    )
    return labels[rows[:, None], columns]


def _has_colour(labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    return (labels >= 0) & (labels < len(colours))


def _drawn(
    image: np.ndarray | Tensor, labels: np.ndarray | Tensor, colours: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photograph `[H, W, 3]`, the labels at its size and the colours, all checked."""
    photo = image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if isinstance(image, Tensor) and photo.ndim == 3:
        photo = photo.transpose(1, 2, 0)
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
        raise ValueError(
            f"the image must be uint8 [H, W, 3], or a tensor [3, H, W], got {photo.dtype} "
            f"{list(np.shape(image))}"
        )
    ids = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if ids.ndim != 2 or ids.dtype.kind not in "iub" or not ids.size:
        raise ValueError(f"labels must be integers [h, w], got {ids.dtype} {list(ids.shape)}")
    ids = ids.astype(np.int64)
    if colours is None:
        colours = palette(max(1, int(ids.max()) + 1))
    table = np.asarray(colours)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype != np.uint8 or not len(table):
        raise ValueError(f"colours must be uint8 [n, 3], got {table.dtype} {list(table.shape)}")
    return photo, fit_labels(ids, (photo.shape[0], photo.shape[1])), table
