"""Everything a run must remember to continue as if it had never stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from leopart_kit.identity import Identity
from leopart_kit.training.checkpoint import check_state_matches, read_checkpoint_file
from leopart_kit.training.checkpoint_content import (
    check_moments,
    check_parts,
    refused_as_damaged,
)
from leopart_kit.training.other_processes import check_goes_on, entries_of
from leopart_kit.training.randomness import (
    capture_random_state,
    derive_seed,
    restore_random_state,
    seed_everything,
)

logger = logging.getLogger(__name__)


@dataclass
class RunState:
    """The method and the optimiser, where the run is, and which files were broken so far.

    `step` counts finished optimiser steps; `identity` is all that the run follows from.
    """

    method: nn.Module
    optimizer: Optimizer
    identity: Identity
    step: int = 0
    broken: dict[str, None] = field(default_factory=dict)  # an ordered set of messages


def capture_state(state: RunState, fabric: Fabric) -> dict[str, Any]:
    """The content of a checkpoint; every process calls it, the first one gets it complete.

    Parameters are the same in all processes. Buffers, extra state and random generators are not,
    so each process contributes its own.
    """
    whole = state.method.state_dict()
    local = {
        "random": capture_random_state(),
        "state_dict": {} if fabric.is_global_zero else _local_entries(state.method, whole),
        "broken": list(state.broken),
    }
    return {
        "identity": dict(state.identity.values),
        "encoder": _trained_for(state.method),
        "state_dict": whole,
        "optimizer": state.optimizer.state_dict(),
        "processes": _gather(local, fabric),
    }


def _trained_for(method: nn.Module) -> str | None:
    """Name of the backbone in the state dict that is evaluated, for readers of the file."""
    encoder = getattr(method, "encoder", None)
    return next((name for name, part in method.named_modules() if part is encoder), None)


def restore_state(state: RunState, path: Path, fabric: Fabric, seed: int) -> None:
    """Continue from a checkpoint: fills `state` in place, and the global random generators.

    Args:
        seed: of the run; random generators start from it anew where the number of processes is
            another one, see `other_processes`.

    Raises ValueError when the run is another one than that of the checkpoint, or the method has
    other sizes or parameter groups; FileNotFoundError without the file.
    """
    rank, count = fabric.global_rank, fabric.world_size
    content = read_checkpoint_file(path)
    check_parts(path, content)
    check_goes_on(path, content, state.identity, count)
    processes = content["processes"]
    saved = entries_of(path, content, state.method, rank, count)
    check_state_matches(path, saved, state.method.state_dict())
    _check_groups(path, content["optimizer"]["param_groups"], state.optimizer.param_groups)
    check_moments(path, content["optimizer"], state.optimizer)
    with refused_as_damaged(path):
        state.method.load_state_dict(saved)
        state.optimizer.load_state_dict(content["optimizer"])
        if len(processes) == count:
            restore_random_state(processes[rank]["random"])
    state.step = content["step"]
    if len(processes) == count:
        state.broken = dict.fromkeys(processes[rank]["broken"])
        return
    seed_everything(derive_seed(seed, state.step, count, rank))
    if fabric.is_global_zero:  # they count once over all processes
        state.broken = {message: None for one in processes for message in one["broken"]}
        logger.warning(
            "%s is of %d processes, this run has %d: shares of queues and random numbers are other "
            "ones, so that it is not bit for bit the same from here on",
            path,
            len(processes),
            count,
        )


def non_finite_entry(method: nn.Module) -> str | None:
    """Name of a parameter or buffer that holds NaN or infinity, None when all is well."""
    for name, value in method.state_dict().items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        # A sum is not finite if a term is not, and costs no mask; finite terms may overflow it.
        if not torch.isfinite(value.sum()) and not torch.isfinite(value).all():
            return name
    return None


def _local_entries(method: nn.Module, whole: Mapping[str, Any]) -> dict[str, Any]:
    shared = {name for name, _ in method.named_parameters(remove_duplicate=False)}
    return {
        key: value.cpu() if isinstance(value, Tensor) else value
        for key, value in whole.items()
        if key not in shared
    }


def _gather(local: dict[str, Any], fabric: Fabric) -> list[dict[str, Any]]:
    if fabric.world_size == 1:
        return [local]
    gathered = [local] * fabric.world_size if fabric.is_global_zero else None
    dist.gather_object(local, gathered)
    return gathered or []


def _check_groups(path: Path, saved: list[dict], own: list[dict]) -> None:
    def describe(groups: list[dict]) -> str:
        return ", ".join(f"{g['name']} ({len(g['params'])} tensors)" for g in groups)

    if describe(saved) != describe(own):
        raise ValueError(
            f"checkpoint {path} has the parameter groups {describe(saved)}; this run has "
            f"{describe(own)}"
        )
