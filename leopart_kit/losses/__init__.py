"""Losses: pure functions from scores to a scalar."""

from leopart_kit.losses.anchored import anchored_cross_entropy
from leopart_kit.losses.assignment_statistics import (
    AssignmentStatistics,
    assignment_statistics,
    collapse_warning,
)
from leopart_kit.losses.leopart import (
    assignment_cross_entropy,
    leopart_loss,
    teacher_assignments,
)
from leopart_kit.losses.region_alignment import align_regions, cells_inside

__all__ = [
    "AssignmentStatistics",
    "align_regions",
    "anchored_cross_entropy",
    "assignment_cross_entropy",
    "assignment_statistics",
    "cells_inside",
    "collapse_warning",
    "leopart_loss",
    "teacher_assignments",
]
