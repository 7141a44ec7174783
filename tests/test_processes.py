"""Shares of a list, and what several processes know of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.processes import ALONE, Processes
from tests.two_processes import run_in_processes


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_item_belongs_to_one_process(items: list[int], count: int):
    shares = [Processes(rank, count).share(items) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


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
