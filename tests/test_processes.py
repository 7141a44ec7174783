"""Shares of a list, and what several processes know of each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.processes import ALONE, Processes, check_shared
from tests.two_processes import run_in_processes


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_item_belongs_to_one_process(items: list[int], count: int):
    shares = [Processes(rank, count).share(items) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 9))
def test_parts_are_whole_blocks_that_cover_everything_once(total: int, block: int, count: int):
    parts = [Processes(rank, count).part(total, block) for rank in range(count)]
    rows = [row for part in parts for row in range(total)[part]]
    assert rows == list(range(total))
    blocks = [-(-(part.stop - part.start) // block) for part in parts]
    assert max(blocks) - min(blocks) <= 1
    assert all(part.start % block == 0 for part in parts if part.start < total)


def _add_up(rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mine = torch.tensor([1.5, 10.0 * rank])
    total = Processes(rank, 3).sum(mine)
    return total, mine, Processes(rank, 3).concatenate(mine[:rank])


def test_sums_and_rows_of_all_processes():
    found = run_in_processes(_add_up, 3)
    for rank, (total, mine, rows) in enumerate(found):
        assert total.tolist() == [4.5, 30.0]
        assert mine.tolist() == [1.5, 10.0 * rank], "its own stays"
        assert rows.tolist() == [1.5, 1.5, 20.0]


def test_alone_nothing_changes():
    assert ALONE.share([1, 2, 3]) == [1, 2, 3]
    assert ALONE.join([1, 2, 3]) == [1, 2, 3]
    assert ALONE.gather("x") == ["x"]
    assert ALONE.once(lambda: 5) == 5
    ALONE.wait()


def _talk(rank: int, num_items: int):
    processes = Processes(rank, 2)
    mine = [10 * item for item in processes.share(range(num_items))]
    return processes.join(mine), processes.gather(rank), processes.once(lambda: f"from {rank}")


def test_two_processes_join_their_shares_in_order():
    for joined, ranks, said in run_in_processes(_talk, 2, 5):
        assert joined == [0, 10, 20, 30, 40]
        assert ranks == [0, 1]
        assert said == "from 0"


def _fail_in_one_then_talk(rank: int, failing: int):
    """What each process is told of three tasks, of which the second fails in one of them."""
    processes = Processes(rank, 2)
    said: list[object] = []

    def task(number: int) -> str:
        if number == 1 and rank == failing:
            raise ValueError(f"no room on the disk of process {rank}")
        return processes.once(lambda: f"task {number}") + str(processes.gather(rank))

    for number in range(3):
        try:
            said.append(processes.together(partial(task, number)))
        except ValueError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize("failing", [0, 1])
def test_what_one_process_raises_all_raise_and_then_go_on_together(failing: int):
    for said in run_in_processes(_fail_in_one_then_talk, 2, failing):
        expected = ["task 0[0, 1]", f"no room on the disk of process {failing}", "task 2[0, 1]"]
        assert said == expected


class _NotPicklable(ValueError):
    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def _fail_at_the_very_end(rank: int):
    """One process fails where the others have nothing left to exchange."""

    def task() -> None:
        if rank == 1:
            raise _NotPicklable("disk", "full")

    try:
        Processes(rank, 2).together(task)
    except Exception as error:
        return str(error)


def test_an_error_of_two_arguments_after_the_last_exchange_reaches_all():
    assert run_in_processes(_fail_at_the_very_end, 2) == [
        "_NotPicklable: disk: full",
        "disk: full",
    ]


def _meet_in(rank: int, folders: list[Path]) -> str:
    try:
        check_shared(folders[rank], Processes(rank, 2), patience=0.3)
    except ValueError as error:
        return str(error)
    return ""


def test_nodes_without_a_shared_disk_are_told_of_in_every_process(tmp_path: Path):
    shared, apart = tmp_path / "shared", tmp_path / "apart"
    assert run_in_processes(_meet_in, 2, [shared, shared]) == ["", ""]
    for told in run_in_processes(_meet_in, 2, [shared, apart]):
        assert "processes [1]" in told
    assert not list(shared.iterdir())
