"""The Lightning Fabric a run needs: device, precision, and its processes under torchrun."""

from __future__ import annotations

import atexit
import inspect
import os
from typing import Any, Literal

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from leopart_kit.processes import leave_processes

Precision = Literal["32-true", "bf16-mixed"]


def build_fabric(accelerator: str = "auto", precision: Precision = "32-true") -> Fabric:
    """A launched Fabric for this process.

    One device, unless the process was started by torchrun: then each of its processes takes one
    device of `accelerator` ("auto", "cpu", "cuda", "mps") and gradients are averaged over all.

    Raises ValueError for an unknown precision.
    """
    if precision not in ("32-true", "bf16-mixed"):
        raise ValueError(f"precision must be 32-true or bf16-mixed, got {precision}")
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", str(world_size)))
    fabric = Fabric(
        accelerator=accelerator,
        strategy=_data_parallel() if world_size > 1 else "auto",
        devices=local_world_size,
        num_nodes=world_size // local_world_size,
        precision=precision,
    )
    fabric.launch()
    if world_size > 1:
        atexit.register(leave_processes)
    return fabric


def _data_parallel() -> DDPStrategy:
    # Buffers are a method's own in each process (its share of a queue): a forward pass must not
    # overwrite them. torch has renamed the option.
    known = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {option: False}
    return DDPStrategy(**options)
