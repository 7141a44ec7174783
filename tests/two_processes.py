"""Run a function in several processes that form a gloo process group."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import set_forkserver_preload
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

# One server imports the slow packages once; every process forks from it, before any thread starts.
set_forkserver_preload(["leopart_kit.losses", "hypothesis", "scipy.ndimage"])


def run_in_processes(worker: Callable[..., Any], num_processes: int, *args: Any) -> list[Any]:
    """Results of `worker(rank, *args)`, one per rank; an error in a process fails the caller."""
    with TemporaryDirectory() as folder:
        start_processes(
            _enter,
            (num_processes, folder, worker, args),
            nprocs=num_processes,
            start_method="forkserver",
        )
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(num_processes)]


def _enter(rank: int, num_processes: int, folder: str, worker: Callable[..., Any], args) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=num_processes
    )
    torch.save(worker(rank, *args), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
