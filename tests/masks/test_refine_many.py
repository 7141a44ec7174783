from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leopart_kit.masks.refine import refine
from leopart_kit.masks.refine_many import refine_many


def items(number: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for index in range(number):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (20 + index, 24, 3), dtype=np.uint8)
        yield f"photo {index}", image, rng.integers(0, 3, (5, 6))


BAD = ("the last", np.zeros((2, 2), np.uint8), np.zeros((2, 2), int))


def test_two_processes_give_what_one_gives_in_order_and_read_no_further_than_needed():
    read = []

    def counted() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        for item in [*items(9), BAD]:
            read.append(item[0])
            yield item

    results = refine_many(counted(), 10, "bilateral_grid", num_processes=2)
    assert read == []
    for index, (name, image, labels) in enumerate(items(9)):
        found, refined = next(results)
        assert found == name
        assert len(read) <= index + 4
        np.testing.assert_array_equal(refined, refine(image, labels, "bilateral_grid"))
    with pytest.raises(ValueError, match="uint8"):
        next(results)


def test_one_process_needs_no_other():
    results = refine_many([*items(2), BAD], 3, "bilateral_grid")
    assert [next(results)[0], next(results)[0]] == ["photo 0", "photo 1"]
    with pytest.raises(ValueError, match="uint8"):
        next(results)


class Deadly(np.ndarray):
    """Ends the process that unpickles it, as the kernel does to one that takes all memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_dead_process_is_an_error_and_no_hang():
    image = np.zeros((8, 8, 3), np.uint8)
    deadly = np.zeros((8, 8), int).view(Deadly)
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="process died"):
        list(refine_many([("a", image, deadly)] * 4, 4, "bilateral_grid", num_processes=2))
    assert time.monotonic() - start < 60


def test_no_process_is_an_error():
    with pytest.raises(ValueError, match="num_processes"):
        refine_many([], 0, "bilateral_grid", num_processes=0)


SCRIPT = """
    import os, signal, sys
    import numpy as np
    from leopart_kit.masks.refine_many import refine_many

    # A shell starts what it sends to the background with Ctrl-C ignored, and children inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def endless():
        rng = np.random.default_rng(0)
        while True:
            yield "a", rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), rng.integers(0, 3, (8, 8))

    if __name__ == "__main__":
        for number, _ in enumerate(refine_many(endless(), 10, "bilateral_grid", num_processes=2)):
            if number == 3:
                from multiprocessing import active_children
                print(*(child.pid for child in active_children()), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_nothing_stays_behind_when_the_parent_is_stopped(sent: signal.Signals, tmp_path: Path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    if sent == signal.SIGINT:
        os.killpg(parent.pid, sent)  # as the terminal does: to all of them
    else:
        parent.send_signal(sent)
    _, errors = parent.communicate(timeout=1800)
    assert parent.returncode != 0
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers still run"
        time.sleep(0.05)
    assert "SpawnProcess" not in errors


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and waits to be reaped by the machine's first process runs no more.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
