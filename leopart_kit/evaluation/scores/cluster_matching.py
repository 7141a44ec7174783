"""The rules by which clusters get classes, by name."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from leopart_kit.metrics import match_hungarian, match_many_to_one

Rule = Literal["hungarian_iou", "hungarian_count", "many_to_one_precision", "many_to_one_iou"]


def match_clusters(counts: Tensor, rule: Rule, unmatched: int) -> Tensor:
    """Class of each cluster `[K]` from counts `[C, K]` by a named rule."""
    if rule.startswith("hungarian"):
        return match_hungarian(counts, "iou" if rule == "hungarian_iou" else "count", unmatched)
    return match_many_to_one(counts, "iou" if rule == "many_to_one_iou" else "precision")
