"""Small regions of a label map, which go to the largest region beside them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

import numpy as np


def absorbed(
    ids: np.ndarray, areas: Sequence[int], groups: Sequence[int], min_area: int
) -> np.ndarray:
    """The region that each becomes a part of, int64 `[n + 1]`; itself where it is large enough.

    The smallest group comes first, and each of its regions goes to the largest region that it
    touches, corners included; what this one makes large is small no more. A region that touches
    none becomes background.

    Args:
        ids: integers `[H, W]`, 1 to n for the regions, 0 for the background.
        areas: pixels of region 0 (not looked at) to n.
        groups: the regions that are small or large together, such as those of one class.
        min_area: pixels that a group needs.
    """
    beside = _neighbours(ids)
    area, target = list(areas), np.arange(len(areas))
    members: dict[int, set[int]] = defaultdict(set)
    for region, group in enumerate(groups[1:], start=1):
        members[group].add(region)
    total = {group: sum(area[region] for region in found) for group, found in members.items()}
    queue = [(pixels, group) for group, pixels in total.items() if pixels < min_area]
    heapq.heapify(queue)
    while queue:
        pixels, group = heapq.heappop(queue)
        if pixels != total[group]:  # it has grown since
            continue
        for region in sorted(members.pop(group)):
            largest = max(beside[region], key=lambda other: (area[other], -other), default=0)
            target[region] = largest
            for other in beside.pop(region):
                beside[other].discard(region)
                if largest and other != largest:
                    beside[other].add(largest)
                    beside[largest].add(other)
            if largest:
                area[largest] += area[region]
                grown = groups[largest]
                total[grown] += area[region]
                if total[grown] < min_area:
                    heapq.heappush(queue, (total[grown], grown))
    return _ends(target)


def _neighbours(ids: np.ndarray) -> dict[int, set[int]]:
    """The regions that each one touches, the background left out."""
    beside: dict[int, set[int]] = defaultdict(set)
    pairs = [
        (ids[:, :-1], ids[:, 1:]),
        (ids[:-1], ids[1:]),
        (ids[:-1, :-1], ids[1:, 1:]),
        (ids[:-1, 1:], ids[1:, :-1]),
    ]
    for one, other in pairs:
        touching = (one != other) & (one > 0) & (other > 0)
        found = np.unique(np.stack([one[touching], other[touching]], axis=1), axis=0)
        for a, b in found.tolist():
            beside[a].add(b)
            beside[b].add(a)
    return beside


def _ends(target: np.ndarray) -> np.ndarray:
    """Follow every region to where it ended: what took it may have been taken itself."""
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return target
        target = further
