"""The processes that train together, where there are several."""

from __future__ import annotations

import torch.distributed as dist

from leopart_kit.processes import Processes


def process_group() -> dist.ProcessGroup | None:
    """All processes of the run; None for a process alone."""
    return dist.group.WORLD if dist.is_available() and dist.is_initialized() else None


def world_size() -> int:
    """Number of processes that train together."""
    group = process_group()
    return 1 if group is None else dist.get_world_size(group)


def world_rank() -> int:
    """The number of this process among them, from 0."""
    group = process_group()
    return 0 if group is None else dist.get_rank(group)


def world() -> Processes:
    """This process among those that train together."""
    return Processes(world_rank(), world_size())
