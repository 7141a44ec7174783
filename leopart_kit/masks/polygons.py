"""Outlines of masks as polygons that draw the same mask again.

A polygon runs through the centres of the region's border pixels, as OpenCV and labelme draw them
(border included). A hole is joined to its outline by a slit of no width, since the formats know
one ring a polygon; the even-odd rule then leaves the hole open.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import KDTree


def trace_polygons(mask: np.ndarray) -> list[np.ndarray]:
    """One closed ring for each 8-connected component of a mask.

    Args:
        mask: uint8 `[H, W]`, 0 outside.

    Returns:
        Rings, int `[n, 2]` of (x, y) pixel indices, n at least 3: a region of one or two pixels
        repeats points.
    """
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    rings = [contour[:, 0] for contour in contours]
    parents = hierarchy.reshape(-1, 4)[:, 3]
    return [
        _at_least_three(_corners(_join(ring, [rings[i] for i in np.flatnonzero(parents == index)])))
        for index, ring in enumerate(rings)
        if parents[index] < 0
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


def _join(outline: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """The outline with every hole spliced in, always the one with the shortest slit next.

    The shortest slit between what is joined and what is not meets no other contour, else there
    would be a shorter one.
    """
    ring, joined = outline, outline
    links: list[tuple[float, int, int]] = [(np.inf, 0, 0)] * len(holes)
    anchors = [outline[0]] * len(holes)
    left = set(range(len(holes)))
    while left:
        tree = KDTree(joined)
        for index in left:
            distances, nearest = map(np.asarray, tree.query(holes[index]))
            start = int(distances.argmin())
            if distances[start] < links[index][0]:
                links[index] = float(distances[start]), start, index
                anchors[index] = joined[nearest[start]]
        _, start, index = min(links[i] for i in left)
        left.remove(index)
        joined = holes[index]
        at = int(np.flatnonzero((ring == anchors[index]).all(axis=1))[0])
        there_and_back = [ring[: at + 1], joined[start:], joined[: start + 1], ring[at:]]
        ring = np.concatenate(there_and_back)
    return ring
