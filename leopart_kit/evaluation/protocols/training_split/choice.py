"""One of several settings, chosen on held-out training images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)


def short_names(values: Sequence[float]) -> list[str]:
    """Distinct numbers in the fewest digits that tell them apart, three or more."""
    for digits in range(3, 17):
        names = [f"{value:.{digits}g}" for value in values]
        if len(set(names)) == len(names):
            return names
    return [repr(value) for value in values]


def log_choice(seed: int, tried: Mapping[str, float], chosen: str) -> None:
    """Tell the mIoU of each setting and the chosen one, the first of those that are equal."""
    equal = sum(score == tried[chosen] for score in tried.values())
    logger.info(
        "seed %d, mIoU on held-out training images: %s; chosen: %s%s",
        seed,
        ", ".join(f"{name}: {score:.1f}" for name, score in tried.items()),
        chosen,
        f", the first of {equal} equal ones" if equal > 1 else "",
    )
