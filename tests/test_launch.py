"""Variables of torchrun and SLURM, and the places that they give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.launch import Launch, enter_launch, own_cores, read_launch


def slurm(rank: int, tasks: list[int]) -> dict[str, str]:
    """What task `rank` of `srun` finds, with so many tasks on each node."""
    node = next(n for n in range(len(tasks)) if rank < sum(tasks[: n + 1]))
    return {
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": str(sum(tasks)),
        "SLURM_TASKS_PER_NODE": ",".join(map(str, tasks)),
        "SLURM_NNODES": str(len(tasks)),
        "SLURM_NODELIST": "gpu[07-09],gpu12",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank - sum(tasks[:node])),
        "SLURM_NODEID": str(node),
    }


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_tasks_of_srun_find_the_places_that_torchrun_would_give(tasks: list[int], data):
    total = sum(tasks)
    rank = data.draw(st.integers(0, total - 1))
    environment = slurm(rank, tasks)
    launch = enter_launch(environment)
    if total == 1:
        assert launch == Launch()
        return
    assert (launch.rank, launch.count) == (rank, total)
    assert launch.local_count == tasks[launch.node]
    assert sum(tasks[: launch.node]) + launch.local_rank == rank
    assert read_launch(environment) == launch  # now by torchrun's names
    assert environment["MASTER_ADDR"] == "gpu07"
    other = slurm(total - 1 - rank, tasks)
    enter_launch(other)
    assert other["MASTER_PORT"] == environment["MASTER_PORT"] == "19567"


def test_short_lists_of_tasks_and_steps_of_a_part_of_the_job():
    environment = slurm(5, [4, 4]) | {"SLURM_TASKS_PER_NODE": "4(x2)"}
    assert read_launch(environment) == Launch(5, 8, 1, 4, 1)
    step = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_PROCID": "1"}
    step |= {"SLURM_LOCALID": "1", "SLURM_NODEID": "0"}
    assert read_launch(environment | step) == Launch(1, 2, 1, 2, 0)


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_a_shell_in_a_job_starts_single_processes(name: str):
    assert read_launch(slurm(0, [4]) | {"SLURM_JOB_NAME": name}) == Launch()
    assert read_launch({}) == Launch()


def test_torchrun_inside_a_job_is_torchrun():
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert read_launch(slurm(0, [1, 1]) | torchrun) == Launch(3, 4, 1, 2, 1)


def test_a_task_that_sees_one_gpu_takes_it():
    launch = enter_launch(slurm(3, [4]) | {"CUDA_VISIBLE_DEVICES": "2"})
    assert (launch.rank, launch.local_rank, launch.local_count) == (3, 0, 1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SLURM_PROCID", "4"),
        ("SLURM_PROCID", "x"),
        ("SLURM_PROCID", None),
        ("SLURM_NTASKS", "0"),
        ("SLURM_LOCALID", "9"),
        ("SLURM_TASKS_PER_NODE", "2(x"),
        ("WORLD_SIZE", "two"),
        ("WORLD_SIZE", "2"),
    ],
)
def test_what_does_not_fit_is_named(variable: str, value: str | None):
    environment = slurm(1, [2, 2])
    environment.pop(variable, None)
    if value is not None:
        environment[variable] = value
    with pytest.raises(ValueError, match="RANK" if value == "2" else variable):
        read_launch(environment)


def test_cores_are_shared_by_the_processes_of_the_node(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    torchrun = {"RANK": "9", "WORLD_SIZE": "32", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    assert own_cores({}) == 16
    assert own_cores(torchrun) == 4
    assert own_cores(slurm(1, [8, 8])) == 2
    # A task of SLURM runs on its own cores already.
    assert own_cores(slurm(1, [8, 8]) | {"SLURM_CPUS_PER_TASK": "12"}) == 12
    both = {**torchrun, "TORCHELASTIC_RUN_ID": "x", "SLURM_CPUS_PER_TASK": "64"}
    assert own_cores(both) == 4
