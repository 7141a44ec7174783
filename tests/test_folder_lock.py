"""One writer a folder: refused while there is one, free as soon as it is gone, however it went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from leopart_kit.whole_file import LOCK_NAME, only_writer

REPOSITORY = Path(__file__).parents[1]

# Holds the lock, as does no child of it that outlives it: a worker of a loader does so for seconds.
HOLDER = """
import os, sys, time
from pathlib import Path
from leopart_kit.whole_file import only_writer
with only_writer(Path(sys.argv[1]), "output_dir"):
    if not os.fork():  # the worker speaks, once it has let go of the lock
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path):
    folder = tmp_path / "new"
    with only_writer(folder, "output_dir"):
        with (
            pytest.raises(ValueError, match=f"{folder}.*output_dir"),
            only_writer(folder, "output_dir"),
        ):
            pass
        with only_writer(tmp_path / "other", "output_dir"):
            pass
    assert list(folder.iterdir()) == []
    with only_writer(folder, "output_dir"):
        pass


def test_a_run_that_fails_frees_the_folder(tmp_path: Path):
    with pytest.raises(RuntimeError), only_writer(tmp_path, "output_dir"):
        raise RuntimeError
    with only_writer(tmp_path, "output_dir"):
        pass


def test_a_killed_run_frees_the_folder_at_once_though_its_workers_live_on(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    try:
        with pytest.raises(ValueError, match="another run"), only_writer(tmp_path, "output_dir"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=1800)
        assert (tmp_path / LOCK_NAME).exists()
        with only_writer(tmp_path, "output_dir"):
            os.kill(worker, 0)  # it is there
    finally:
        os.kill(worker, signal.SIGKILL)
        process.stdout.close()


def test_of_many_at_once_one_writes(tmp_path: Path):
    """Also while lock files come and go."""
    inside, most, entered = 0, 0, 0
    guard = threading.Lock()

    def write() -> None:
        nonlocal inside, most, entered
        for _ in range(200):
            try:
                with only_writer(tmp_path, "output_dir"):
                    with guard:
                        inside += 1
                        most, entered = max(most, inside), entered + 1
                    with guard:
                        inside -= 1
            except ValueError:
                continue

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entered > 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ValueError, match=r"file/x.*cache_dir"),
        only_writer(tmp_path / "file" / "x", "cache_dir"),
    ):
        pass
