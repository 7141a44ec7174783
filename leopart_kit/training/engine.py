"""The Lightning Fabric a run needs: device, precision, and its processes."""

from __future__ import annotations

import atexit
import logging
from functools import cache
from typing import Any, Literal

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from leopart_kit.launch import enter_launch
from leopart_kit.processes import ALONE, PATIENCE, Processes, leave_processes
from leopart_kit.training.data_parallel import DataParallel

Precision = Literal["32-true", "bf16-mixed"]


def build_fabric(accelerator: str = "auto", precision: Precision = "32-true") -> Fabric:
    """A launched Fabric for this process.

    One device, unless torchrun or srun started several processes: then each of them takes one
    device of `accelerator` ("auto", "cpu", "cuda", "mps") and gradients are averaged over all.

    Raises ValueError for an unknown precision, an accelerator that is not here or has too few
    devices, or variables of a launcher that do not fit.
    """
    if precision not in ("32-true", "bf16-mixed"):
        raise ValueError(f"precision must be 32-true or bf16-mixed, got {precision}")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its notes are not the user's
    launch = enter_launch()
    several = launch.count > 1
    _check_devices(accelerator, launch.local_count)
    fabric = Fabric(
        accelerator=accelerator,
        strategy=DataParallel() if several else "auto",
        devices=launch.local_count,
        num_nodes=launch.count // launch.local_count,
        precision=precision,
        # Named, since Fabric would take torchrun inside a job of SLURM for srun; without it, a job
        # of one task would be asked for SLURM's variables.
        plugins=TorchElasticEnvironment() if several else LightningEnvironment(),
    )
    fabric.launch()
    if several:
        atexit.register(leave_processes)
    return fabric


def _check_devices(accelerator: str, wanted: int) -> None:
    """Raise `ValueError` where this machine has fewer devices of a kind than processes."""
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    kind = accelerator
    if accelerator == "auto":
        kind = next((one for one, number in there.items() if number), "cpu")
    if accelerator not in ("auto", "cpu", *there):
        raise ValueError(f"accelerator={accelerator}: must be auto, cpu, cuda or mps")
    if there.get(kind, wanted) >= wanted:
        return
    if not there[kind]:
        raise ValueError(f"accelerator={kind}: there is none that torch can use; set it to cpu")
    raise ValueError(
        f"accelerator={accelerator}: {wanted} processes take a device of {kind} each, and there is "
        f"only {there[kind]}; start fewer, or set accelerator=cpu"
    )


def processes_of(fabric: Fabric) -> Processes:
    """The processes of a launched Fabric, for work beside the training that they share.

    What they say to each other travels through gloo, also where gradients take NCCL.
    """
    if fabric.world_size == 1:
        return ALONE
    group = None if dist.get_backend() == "gloo" else _gloo_group()
    return Processes(fabric.global_rank, fabric.world_size, group)


@cache
def _gloo_group() -> Any:
    return dist.new_group(backend="gloo", timeout=PATIENCE)
