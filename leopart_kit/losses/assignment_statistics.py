"""Signs of collapse in assignments."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

UNIFORM_SHARE = 0.98
CONCENTRATED_SHARE = 0.5


class AssignmentStatistics(NamedTuple):
    """Spread of assignments over prototypes. Entropies in nats, at most `log_num_prototypes`."""

    usage: Tensor  # [K] share of all mass on each prototype, sums to 1
    prototypes_used: int  # prototypes that are the first choice of at least one sample
    entropy: float  # mean entropy of one sample's assignment
    usage_entropy: float  # entropy of `usage`
    log_num_prototypes: float  # ln K


@torch.no_grad()
def assignment_statistics(assignments: Tensor) -> AssignmentStatistics:
    """Describe assignments `[..., K]` whose rows sum to 1.

    Raises:
        ValueError: if there is no row.
    """
    rows = assignments.float().flatten(0, -2)
    if rows.numel() == 0:
        raise ValueError(f"there are no assignments: shape {list(assignments.shape)}")
    usage = rows.mean(dim=0)
    used = torch.bincount(rows.argmax(dim=1), minlength=rows.shape[1]) > 0
    return AssignmentStatistics(
        usage=usage,
        prototypes_used=int(used.sum()),
        entropy=torch.special.entr(rows).sum(dim=1).mean().item(),
        usage_entropy=torch.special.entr(usage).sum().item(),
        log_num_prototypes=math.log(rows.shape[1]),
    )


def collapse_warning(statistics: AssignmentStatistics) -> str | None:
    """One line that names the kind of collapse, or None if there is none.

    Collapse shows in two ways. Every patch is spread evenly over all prototypes (the tokens have
    become alike), or a few prototypes take everything (nothing balances the masses).
    """
    largest = statistics.log_num_prototypes
    if statistics.entropy > UNIFORM_SHARE * largest:
        return (
            f"assignments are all but uniform: entropy {statistics.entropy:.3f} of ln K = "
            f"{largest:.3f}; the patch tokens have become alike. Lower the learning rate or epsilon"
        )
    if statistics.usage_entropy < CONCENTRATED_SHARE * largest:
        return (
            f"few prototypes take all patches: entropy of their use {statistics.usage_entropy:.3f} "
            f"of ln K = {largest:.3f}, {statistics.prototypes_used} in use. Raise num_iterations "
            "or the number of patches in a batch"
        )
    return None
