from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leopart_kit.mapped_array import RowWriter, mapped_array, scratch_array


def test_what_is_written_is_in_the_file(tmp_path: Path):
    array = mapped_array(tmp_path / "a.npy", (3, 4), np.float16)
    assert not array.any()
    array[1] = 7
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[1], 7)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=6), st.integers(0, 5))
def test_rows_are_written_and_nothing_beside_them(
    tmp_path_factory: pytest.TempPathFactory, runs: list[tuple[int, int]], width: int
):
    file = tmp_path_factory.mktemp("rows") / "rows.npy"
    expected = np.full((10, width, 2), 7, np.int16)
    np.save(file, expected)
    with RowWriter(file) as first, RowWriter(file) as second:
        for number, (start, length) in enumerate(runs):
            rows = expected[start : start + length]
            rows[:] = number
            (first, second)[number % 2].write(start, rows.astype(float))
    np.testing.assert_array_equal(np.load(file), expected)


def test_every_block_is_reserved(tmp_path: Path):
    mapped_array(tmp_path / "a.npy", (1000, 1000), np.uint8)
    status = (tmp_path / "a.npy").stat()
    assert status.st_blocks * 512 >= status.st_size


def test_a_scratch_array_leaves_no_file(tmp_path: Path):
    array = scratch_array(tmp_path, (1000, 10), np.float32)
    assert list(tmp_path.iterdir()) == []
    array[:] = np.arange(10)
    np.testing.assert_array_equal(array[-1], np.arange(10))


@pytest.mark.parametrize(("make", "name"), [(mapped_array, "a.npy"), (scratch_array, "")])
def test_too_little_space_is_told_with_the_path_and_the_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable, name: str
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"3\.0 MiB") as raised:
        make(place := tmp_path / name, (3, 2**20), np.uint8)
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(place))
    assert list(tmp_path.iterdir()) == []


def test_only_one_module_maps_new_files():
    """Elsewhere a full disk would kill the process without a word."""
    package = Path(__file__).parents[1] / "leopart_kit"
    mapping = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(word in path.read_text() for word in ("open_memmap(", "np.memmap("))
    ]
    assert mapping == ["mapped_array.py"]
