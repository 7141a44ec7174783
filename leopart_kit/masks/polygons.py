"""Outlines of masks as polygons that draw the same mask again.

A polygon runs through the centres of the region's border pixels, as OpenCV and labelme draw them
(border included). A hole is joined to the contour on its left by a slit of no width, since the
formats know one ring a polygon; the even-odd rule then leaves the hole open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np


def trace_polygons(mask: np.ndarray) -> list[np.ndarray]:
    """One closed ring for each 8-connected component of a mask.

    The time grows with the border's length, hardly more, however many holes there are.

    Args:
        mask: uint8 `[H, W]`, 0 outside.

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
        _at_least_three(_corners(_join(contour[:, 0], holes.get(index, []))))
        for index, (contour, parent) in enumerate(zip(contours, parents, strict=True))
        if parent < 0
    ]


def trace_edges(mask: np.ndarray) -> list[np.ndarray]:
    """Rings in continuous coordinates, where pixel (x, y) covers x to x + 1 and y to y + 1.

    They run a quarter pixel inside the region's edges (outside of holes), so that they hold the
    centres of its pixels and no other, however thin it is. Float `[n, 2]` of (x, y), n at least 4.
    """
    doubled = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    return [(ring + 0.5) / 2 for ring in trace_polygons(doubled)]


def _corners(ring: np.ndarray) -> np.ndarray:
    """The points of a closed ring where its direction changes, or its first."""
    before = ring - np.roll(ring, 1, axis=0)
    after = np.roll(ring, -1, axis=0) - ring
    turns = (before != after).any(axis=1)
    return ring[turns] if turns.any() else ring[:1]


def _at_least_three(ring: np.ndarray) -> np.ndarray:
    return ring if len(ring) >= 3 else np.resize(ring, (3, 2))


def _join(outline: np.ndarray, holes: Sequence[np.ndarray]) -> np.ndarray:
    """The outline with every hole spliced in, by a slit along its row.

    A slit leads from the hole's leftmost point to the next contour on the left. That one begins
    further left, or at the same point, so that following slits always ends at the outline; and
    between the two lie only pixels of the region.
    """
    if not holes:
        return outline
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
    return np.concatenate(list(_splice(rings, slits)))


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
        yield ring[begin:]
        if index:
            yield ring[:1]  # back to where the slit came in

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
