"""The place of this process among those that torchrun or srun started.

torchrun speaks through RANK, WORLD_SIZE and more; each task of `srun` finds SLURM's own variables.
`enter_launch` translates the latter, so that torch, Lightning Fabric and this toolkit all see one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace

# A shell that somebody types in: its commands are single, whatever the job was given.
_INTERACTIVE = ("bash", "interactive")
_PORTS = 15_000, 10_000  # first, and how many; each job takes one by its number


@dataclass(frozen=True)
class Launch:
    """This process among `count`, as number `rank`.

    Attributes:
        local_rank: its number among the `local_count` processes of its node.
        node: number of the node.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    node: int = 0


def read_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """The place that the variables of a launcher give; torchrun's come before SLURM's.

    Raises:
        ValueError: a variable is missing, not a number or does not fit the others; names it.
    """
    if "WORLD_SIZE" in environment:
        return _of_torchrun(environment)
    name = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"
    alone = environment.get("SLURM_JOB_NAME") in _INTERACTIVE or name not in environment
    return Launch() if alone else _of_srun(environment, name)


def enter_launch(environment: MutableMapping[str, str] = os.environ) -> Launch:
    """The place of this process; under srun, torchrun's variables are set from SLURM's.

    Raises:
        ValueError: as `read_launch`.
    """
    launch = read_launch(environment)
    if launch.count > 1 and "WORLD_SIZE" not in environment:
        if _sees_one_gpu(environment):  # its own, which is then number 0
            launch = replace(launch, local_rank=0, local_count=1, node=launch.rank)
        first, number = _PORTS
        port = first + _number(environment, "SLURM_JOB_ID", 0) % number
        environment.setdefault("MASTER_ADDR", _first_node(environment))
        environment.setdefault("MASTER_PORT", str(port))
        environment.update(
            {
                "RANK": str(launch.rank),
                "WORLD_SIZE": str(launch.count),
                "LOCAL_RANK": str(launch.local_rank),
                "LOCAL_WORLD_SIZE": str(launch.local_count),
                "GROUP_RANK": str(launch.node),
            }
        )
    return launch


def own_cores(environment: Mapping[str, str] = os.environ) -> int:
    """Cores for this process: its share of those that it may run on, at least 1.

    A task of SLURM has its own already; processes of torchrun divide those of their node.

    Raises:
        ValueError: as `read_launch`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _threads()
    if "TORCHELASTIC_RUN_ID" not in environment and "SLURM_CPUS_PER_TASK" in environment:
        return min(allowed, _number(environment, "SLURM_CPUS_PER_TASK", at_least=1))
    return max(1, allowed // read_launch(environment).local_count)


def _threads() -> int:
    import torch  # commands pass here before they need it

    return torch.get_num_threads()


def _sees_one_gpu(environment: Mapping[str, str]) -> bool:
    return len(environment.get("CUDA_VISIBLE_DEVICES", ",").split(",")) == 1


def _first_node(environment: Mapping[str, str]) -> str:
    # Imported where it is needed: every command passes here.
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST")
    nodes = nodes or environment.get("SLURM_JOB_NODELIST")
    return SLURMEnvironment.resolve_root_node_address(nodes) if nodes else "127.0.0.1"


def _of_torchrun(environment: Mapping[str, str]) -> Launch:
    count = _number(environment, "WORLD_SIZE", at_least=1)
    if count == 1:
        return Launch()
    rank = _below(_number(environment, "RANK"), count, "RANK")
    local_count = _number(environment, "LOCAL_WORLD_SIZE", count, at_least=1)
    local_rank = _below(_number(environment, "LOCAL_RANK", rank), local_count, "LOCAL_RANK")
    node = _number(environment, "GROUP_RANK", rank // local_count)
    return Launch(rank, count, local_rank, local_count, node)


def _of_srun(environment: Mapping[str, str], name: str) -> Launch:
    count = _number(environment, name, at_least=1)
    if count == 1:
        return Launch()
    rank = _below(_number(environment, "SLURM_PROCID"), count, "SLURM_PROCID")
    node = _number(environment, "SLURM_NODEID", 0)
    local_count = _tasks_of_node(environment, node, count)
    local_rank = _number(environment, "SLURM_LOCALID", rank % local_count)
    _below(local_rank, local_count, "SLURM_LOCALID")
    return Launch(rank, count, local_rank, local_count, node)


def _tasks_of_node(environment: Mapping[str, str], node: int, count: int) -> int:
    """Tasks of one node: SLURM lists them as `4(x2),3`, four on two nodes and three on another."""
    for name in ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"):
        tasks: list[int] = []
        for part in filter(None, environment.get(name, "").split(",")):
            found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
            if found is None:
                raise ValueError(f"{name}={environment[name]} is not a list of tasks like 4(x2),3")
            tasks += [int(found[1])] * int(found[2] or 1)
        if sum(tasks) == count:  # those of the job may be others than those of this step
            return tasks[_below(node, len(tasks), "SLURM_NODEID")]
    nodes = _number(environment, "SLURM_NNODES", 1, at_least=1)
    return _number(environment, "SLURM_NTASKS_PER_NODE", -(-count // nodes), at_least=1)


def _number(
    environment: Mapping[str, str], name: str, default: int | None = None, at_least: int = 0
) -> int:
    text = environment.get(name)
    if text is None and default is not None:
        return default
    if text is None:
        raise ValueError(
            f"{name} is not set, while other variables of a launcher are: start the command by "
            "torchrun or srun, or unset WORLD_SIZE and SLURM_NTASKS"
        )
    if not text.strip().isdecimal() or int(text) < at_least:
        raise ValueError(f"{name}={text!r} must be a whole number from {at_least}")
    return int(text)


def _below(number: int, limit: int, name: str) -> int:
    if number >= limit:
        raise ValueError(f"{name}={number} must be below {limit}, the number of processes there")
    return number
