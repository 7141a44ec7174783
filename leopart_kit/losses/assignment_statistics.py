"""Signs of collapse in assignments."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

UNIFORM_SHARE = 0.98
CONCENTRATED_SHARE = 0.5


class AssignmentStatistics(NamedTuple):
    """Spread of assignments over prototypes. Entropies in nats, at most `log_num_prototypes`.

    Scalars stay on the device: reading one makes the host wait for it.
    """

    usage: Tensor  # [K] share of all mass on each prototype, sums to 1
    prototypes_used: Tensor  # prototypes that are the first choice of at least one sample
    entropy: Tensor  # mean entropy of one sample's assignment
    usage_entropy: Tensor  # entropy of `usage`
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
    return AssignmentStatistics(
        usage=usage,
        prototypes_used=chosen(rows.argmax(dim=1), rows.shape[1]).sum(),
        entropy=torch.special.entr(rows).sum(dim=1).mean(),
        usage_entropy=torch.special.entr(usage).sum(),
        log_num_prototypes=math.log(rows.shape[1]),
    )


def chosen(labels: Tensor, number: int) -> Tensor:
    """Occurrence of each of `number` labels, bool `[number]`; no host waits for it."""
    found = torch.zeros(number, dtype=torch.bool, device=labels.device)
    return found.index_fill_(0, labels.flatten(), True)


def collapse_warning(statistics: AssignmentStatistics) -> str | None:
    """One line that names the kind of collapse, or None if there is none; reads the scalars.

    Collapse shows in two ways. Every patch is spread evenly over all prototypes (the tokens have
    become alike), or a few prototypes take everything (nothing balances the masses).
    """
    largest, entropy = statistics.log_num_prototypes, statistics.entropy.item()
    if entropy > UNIFORM_SHARE * largest:
        return (
            f"assignments are all but uniform: entropy {entropy:.3f} of ln K = "
            f"{largest:.3f}; the patch tokens have become alike. Lower the learning rate or epsilon"
        )
    usage_entropy = statistics.usage_entropy.item()
    if usage_entropy < CONCENTRATED_SHARE * largest:
        return (
            f"few prototypes take all patches: entropy of their use {usage_entropy:.3f} "
            f"of ln K = {largest:.3f}, {int(statistics.prototypes_used)} in use. Raise "
            "num_iterations or the number of patches in a batch"
        )
    return None
