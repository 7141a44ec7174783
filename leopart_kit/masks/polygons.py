"""Outlines of masks as polygons that draw the same mask again, or one very much like it.

A polygon runs through the centres of the region's border pixels, as OpenCV and labelme draw them
(border included). A hole is joined to the contour on its left by a slit of no width, since the
formats know one ring a polygon. The even-odd rule then leaves the hole open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

LEAST_OVERLAP = 0.99
"""Intersection over union of a region and its simplified outline, at least."""

_LEAST_TOLERANCE = 0.25  # pixels; below it no point of an outline drops out
_SHRINKS = 0.8  # what a tolerance shrinks to, where it costs too much


def trace_polygons(mask: np.ndarray, tolerance: float = 0) -> list[np.ndarray]:
    """One closed ring for each 8-connected component of a mask.

    The time grows with the border's length, hardly more, however many holes there are.

    Args:
        mask: uint8 `[H, W]`, 0 outside.
        tolerance: pixels by which an outline may be off, with fewer points (Douglas & Peucker
            1973). It shrinks where less than `LEAST_OVERLAP` of a region would be left.

    Returns:
        Rings, int `[n, 2]` of (x, y) pixel indices, n at least 3: a region of one or two pixels
        repeats points.
    """
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    holes: dict[int, list[np.ndarray]] = {}
    parents = hierarchy.reshape(-1, 4)[:, 3].tolist()
    for contour, parent in zip(contours, parents, strict=True):
        if parent >= 0:
            holes.setdefault(parent, []).append(contour[:, 0])
    return [
        _at_least_three(_ring(_join(contour[:, 0], holes.get(index, [])), tolerance))
        for index, (contour, parent) in enumerate(zip(contours, parents, strict=True))
        if parent < 0
    ]


def trace_edges(mask: np.ndarray, tolerance: float = 0) -> list[np.ndarray]:
    """Rings in continuous coordinates, where pixel (x, y) covers x to x + 1 and y to y + 1.

    They run a quarter pixel inside the region's edges (outside of holes), so that they hold the
    centres of its pixels and no other, however thin it is. Float `[n, 2]` of (x, y), n at least 3;
    `tolerance` as of `trace_polygons`.
    """
    doubled = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    return [(ring + 0.5) / 2 for ring in trace_polygons(doubled, 2 * tolerance)]


def _ring(pieces: Sequence[np.ndarray], tolerance: float) -> np.ndarray:
    """One ring of the pieces of an outline, which meet where slits begin and end."""
    exact = _corners(np.concatenate(pieces))
    while tolerance >= _LEAST_TOLERANCE:
        ring = _simplified(pieces, tolerance)
        if len(ring) < len(exact) and _overlap(ring, exact) >= LEAST_OVERLAP:
            return ring
        tolerance *= _SHRINKS
    return exact


def _simplified(pieces: Sequence[np.ndarray], tolerance: float) -> np.ndarray:
    """Each piece with fewer points; its ends stay, so that the two sides of a slit do."""
    if len(pieces) == 1:
        return cv2.approxPolyDP(pieces[0].astype(np.int32), tolerance, closed=True)[:, 0]
    fewer = [cv2.approxPolyDP(p.astype(np.int32), tolerance, closed=False) for p in pieces]
    return np.concatenate([piece[:, 0] for piece in fewer])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of what two rings draw, borders included."""
    low = np.minimum(one.min(axis=0), other.min(axis=0))
    size = np.maximum(one.max(axis=0), other.max(axis=0)) - low + 1
    masks = []
    for ring in (one, other):
        canvas = np.zeros((int(size[1]), int(size[0])), np.uint8)
        masks.append(cv2.fillPoly(canvas, [(ring - low).astype(np.int32)], 1).astype(bool))
    return float((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())


def _corners(ring: np.ndarray) -> np.ndarray:
    """The points of a closed ring where its direction changes, or its first."""
    before = ring - np.roll(ring, 1, axis=0)
    after = np.roll(ring, -1, axis=0) - ring
    turns = (before != after).any(axis=1)
    return ring[turns] if turns.any() else ring[:1]


def _at_least_three(ring: np.ndarray) -> np.ndarray:
    return ring if len(ring) >= 3 else np.resize(ring, (3, 2))


def _join(outline: np.ndarray, holes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The pieces of the outline with every hole spliced in, by a slit along its row.

    A slit leads from the hole's leftmost point to the next contour on the left. That one begins
    further left, or at the same point, so that following slits always ends at the outline; and
    between the two lie only pixels of the region.
    """
    if not holes:
        return [outline]
    starts = [np.lexsort(hole.T[::-1])[0] for hole in holes]
    turned = [np.roll(hole, -start, axis=0) for hole, start in zip(holes, starts, strict=True)]
    rings = [outline, *sorted(turned, key=lambda hole: tuple(hole[0]))]
    lengths = [len(ring) for ring in rings]
    number = np.repeat(np.arange(len(rings)), lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    # One number a point that sorts by row, then column, then contour: the one before a hole's
    # first point is where its slit ends.
    points = np.concatenate(rings).astype(np.int64)
    width = points[:, 0].max() + 1
    keys = (points[:, 1] * width + points[:, 0]) * len(rings) + number
    order = np.argsort(keys)
    first = np.cumsum(lengths)[:-1]
    ends = order[np.searchsorted(keys[order], keys[first]) - 1]
    slits: list[list[tuple[int, int]]] = [[] for _ in rings]
    for hole, (parent, at) in enumerate(zip(number[ends], place[ends], strict=True), start=1):
        slits[parent].append((int(at), hole))
    return list(_splice(rings, slits))


def _splice(
    rings: Sequence[np.ndarray], slits: Sequence[list[tuple[int, int]]]
) -> Iterator[np.ndarray]:
    """The pieces of one ring that goes round the first and, at each slit, round the hole there.

    `slits[i]` are the points of ring i where one begins, with the number of the hole it leads to.
    """

    def walk(index: int) -> Iterator[np.ndarray | int]:
        ring, begin = rings[index], 0
        for at, hole in sorted(slits[index]):
            yield ring[begin : at + 1]
            yield hole
            begin = at
        # A hole is gone round back to where the slit came in.
        yield np.concatenate([ring[begin:], ring[:1]]) if index else ring[begin:]

    # A stack, since slits may follow one another through more holes than Python recurses.
    walks = [walk(0)]
    while walks:
        piece = next(walks[-1], None)
        if piece is None:
            walks.pop()
        elif isinstance(piece, int):
            walks.append(walk(piece))
        else:
            yield piece
