"""Losses: pure functions from scores to a scalar."""

from leopart_kit.losses.across_views import (
    across_views_cross_entropy,
    centred_targets,
    mean_scores,
)
from leopart_kit.losses.anchored import anchored_cross_entropy
from leopart_kit.losses.assignment_statistics import (
    AssignmentStatistics,
    assignment_statistics,
    collapse_warning,
)
from leopart_kit.losses.contrastive import batch_info_nce, nt_xent, queue_info_nce
from leopart_kit.losses.distillation import distillation_loss
from leopart_kit.losses.gathering import gather_rows
from leopart_kit.losses.gram_anchoring import gram_anchoring
from leopart_kit.losses.ibot import ibot_loss
from leopart_kit.losses.leopart import (
    assignment_cross_entropy,
    leopart_loss,
    teacher_assignments,
)
from leopart_kit.losses.neco import neco_loss, order_cross_entropy, similarity_cross_entropy
from leopart_kit.losses.patch_kernel_alignment import patch_kernel_alignment
from leopart_kit.losses.pseudo_labels import balanced_cross_entropy, transport_plan
from leopart_kit.losses.reconstruction import (
    masked_squared_error,
    normalised_patches,
    patches_of,
)
from leopart_kit.losses.region_alignment import align_regions, cells_inside
from leopart_kit.losses.soft_sort import soft_sort
from leopart_kit.losses.stego_correlation import stego_correlation
from leopart_kit.losses.token_spread import collapse_of_tokens, token_directions, token_spread
from leopart_kit.losses.view_pairs import aligned_pairs

__all__ = [
    "AssignmentStatistics",
    "across_views_cross_entropy",
    "align_regions",
    "aligned_pairs",
    "anchored_cross_entropy",
    "assignment_cross_entropy",
    "assignment_statistics",
    "balanced_cross_entropy",
    "batch_info_nce",
    "cells_inside",
    "centred_targets",
    "collapse_of_tokens",
    "collapse_warning",
    "distillation_loss",
    "gather_rows",
    "gram_anchoring",
    "ibot_loss",
    "leopart_loss",
    "masked_squared_error",
    "mean_scores",
    "neco_loss",
    "normalised_patches",
    "nt_xent",
    "order_cross_entropy",
    "patch_kernel_alignment",
    "patches_of",
    "queue_info_nce",
    "similarity_cross_entropy",
    "soft_sort",
    "stego_correlation",
    "teacher_assignments",
    "token_directions",
    "token_spread",
    "transport_plan",
]
