"""Warnings of collapse while a method trains; reading the signs makes a GPU's host wait."""

from __future__ import annotations

import logging

from torch import Tensor

from leopart_kit.losses import AssignmentStatistics, collapse_of_tokens, collapse_warning
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


def _warn(step: int, warning: str | None) -> None:
    if warning:
        logger.warning("step %d: %s", step, warning)
