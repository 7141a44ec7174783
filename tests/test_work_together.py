"""Work of several processes: a group of their own, errors told to all, one that is killed."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch.distributed as dist

from leopart_kit.processes import ProcessEnded, Processes, shared_scratch_folder
from tests.two_processes import run_in_processes


def _talk_beside(rank: int, num_items: int):
    """As beside NCCL: a group of their own, while the default one waits for something else."""
    processes = Processes(rank, 2, dist.new_group(backend="gloo"))
    waiting = dist.barrier(async_op=True) if rank == 0 else None
    mine = [10 * item for item in processes.share(range(num_items))]
    told = processes.join(mine), processes.gather(rank), processes.once(lambda: f"from {rank}")
    if waiting is None:
        dist.barrier()
    return told


def test_processes_talk_in_a_group_of_their_own():
    for told in run_in_processes(_talk_beside, 2, 5):
        assert told == ([0, 10, 20, 30, 40], [0, 1], "from 0")


def _fail_where_the_first_is_alone(rank: int, folder: Path):
    processes = Processes(rank, 2)

    def refuse() -> None:
        raise ValueError("no room")

    try:
        with shared_scratch_folder(folder / "made", processes) as made:
            found = (made.is_dir(), str(made))
            processes.once(refuse)
    except ValueError as error:
        return str(error), *found, processes.gather(rank)


def test_what_the_first_raises_alone_all_raise(tmp_path: Path):
    first, second = run_in_processes(_fail_where_the_first_is_alone, 2, tmp_path)
    assert first == second
    assert first[0] == "no room"
    assert first[1]
    assert first[3] == [0, 1]
    assert not list(tmp_path.iterdir())


def _make_in_turn(rank: int, folder: Path) -> list[bool]:
    processes, kept = Processes(rank, 2), folder / "index"

    def make() -> bool:
        there = kept.exists()
        kept.touch()
        return there

    return [processes.after_first(make), processes.after_first(make)]


def test_the_first_makes_what_the_others_find(tmp_path: Path):
    assert run_in_processes(_make_in_turn, 2, tmp_path) == [[False, True], [True, True]]


def _meet_one_that_is_killed(rank: int, folder: Path) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    processes = Processes(rank, 2)
    processes.wait()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    for ask in (
        processes.wait,
        lambda: processes.together(processes.wait),
        lambda: processes.gather(1),
    ):
        with pytest.raises(ProcessEnded):
            ask()
    (folder / "told").touch()


def test_a_process_that_is_killed_is_noticed(tmp_path: Path):
    context = get_context("forkserver")
    started = [context.Process(target=_meet_one_that_is_killed, args=(r, tmp_path)) for r in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=1800)
    assert [process.exitcode for process in started] == [0, -signal.SIGKILL]
    assert (tmp_path / "told").exists()
