"""Warnings of collapse while a method trains; reading the signs makes a GPU's host wait."""

from __future__ import annotations

import logging

from torch import Tensor

from leopart_kit.losses import AssignmentStatistics, collapse_of_tokens, collapse_warning
from leopart_kit.losses.token_spread import LEAST_DIRECTIONS
from leopart_kit.methods.outside_graphs import outside_graphs

logger = logging.getLogger(__name__)


@outside_graphs
def warn_of_collapse(statistics: AssignmentStatistics, step: int, every: int) -> None:
    """Log the collapse of assignments, if there is one, in the steps that are due."""
    if step % every == 0:
        _warn(step, collapse_warning(statistics))


@outside_graphs
def warn_of_alike_tokens(spread: Tensor, step: int, every: int) -> None:
    """Log that tokens have become alike, if they have, in the steps that are due."""
    if step % every == 0:
        _warn(step, collapse_of_tokens(spread.item()))


@outside_graphs
def warn_of_few_directions(directions: Tensor, step: int, every: int) -> None:
    """Log that STEGO's codes hold but a few groups, in the steps that are due; not at the start."""
    if step and step % every == 0 and directions.item() < LEAST_DIRECTIONS:
        _warn(
            step,
            f"the codes point in {directions.item():.1f} directions and hold no more groups: too "
            "many points are pulled together. Set method.self_shift, method.neighbour_shift and "
            "method.random_shift to null, which measures them, or raise them",
        )


def _warn(step: int, warning: str | None) -> None:
    if warning:
        logger.warning("step %d: %s", step, warning)
