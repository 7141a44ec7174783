"""What a killed process leaves is removed; what a living one uses, and what is not ours, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from leopart_kit.whole_file import (
    folders_below,
    remove_leftovers,
    remove_own_scratch,
    scratch_file,
    scratch_folder,
    whole_file,
)

HOLD = """
import sys, time
from pathlib import Path
from leopart_kit.whole_file import scratch_folder, whole_file
with whole_file(Path(sys.argv[1], "page.html")) as file:
    file.write_text("half")
    with scratch_folder(Path(sys.argv[1], "export")) as folder:
        (folder / "records").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing a file and a folder."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    (tmp_path / "below").mkdir()
    with writer(tmp_path / "below") as process:
        remove_leftovers(folders_below(tmp_path))
        assert len(list((tmp_path / "below").iterdir())) == 2, "in use"
        process.send_signal(signal.SIGKILL)
        process.wait()
    remove_leftovers([tmp_path])
    assert len(list((tmp_path / "below").iterdir())) == 2, "not a folder that was named"
    remove_leftovers([*folders_below(tmp_path), tmp_path / "gone"])
    assert list((tmp_path / "below").iterdir()) == []
    (record,) = caplog.records
    assert "removed 2" in record.getMessage()


def test_an_interrupt_at_any_line_leaves_nothing(tmp_path: Path):
    """Of what makes, locks, moves and removes it; Python raises interrupts between any two."""
    left, lines = False, 0
    for make in (whole_file, scratch_file, scratch_folder):

        def run(make: Callable[[Path], Any] = make) -> None:
            with make(tmp_path / "a") as temporary:
                (temporary / "b" if temporary.is_dir() else temporary).write_text("half")

        while _interrupted(run, lines):
            left |= any(path.name != "a" for path in tmp_path.iterdir())
            remove_own_scratch()
            assert {path.name for path in tmp_path.iterdir()} <= {"a"}, f"{make}, line {lines}"
            lines += 1
        assert lines > 10
        lines = 0
    assert left, "no interrupt came where it matters"


def _interrupted(run: Callable[[], None], after: int) -> bool:
    """Raise an interrupt after so many lines; False where all ended before."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "line" and frame.f_code.co_name != "run":
            count += 1
            if count > after:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except (KeyboardInterrupt, OSError):  # `shutil` may close a file twice when it is interrupted
        return True
    finally:
        sys.settrace(before)
    return False


def test_files_of_others_stay(tmp_path: Path):
    names = ["notes.tmp", ".notes.tmp", ".notes.12.tmp~", "a.12.tmp", ".12.tmp", ".export_settings"]
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".link.12.tmp").symlink_to(tmp_path / "notes.tmp")
    os.mkfifo(tmp_path / ".pipe.12.tmp")
    remove_leftovers([tmp_path])
    assert {path.name for path in tmp_path.iterdir()} == {*names, ".link.12.tmp", ".pipe.12.tmp"}


@pytest.mark.parametrize("make", [whole_file, scratch_file, scratch_folder])
@pytest.mark.parametrize(
    "name", ["a", "n" * 255, "é" * 127, "n" * 100, "n" * 101, os.fsdecode(b"\xe9" * 255)]
)
def test_any_name_that_a_file_can_have_will_do(
    tmp_path: Path, make: Callable[[Path], Iterator[Path]], name: str
):
    with make(tmp_path / name) as temporary:  # type: ignore[attr-defined]
        assert temporary.parent == tmp_path
        assert [path.name for path in tmp_path.iterdir()] == [temporary.name]
    assert {path.name for path in tmp_path.iterdir()} <= {name}


def test_two_long_names_do_not_share_a_temporary_one(tmp_path: Path):
    first, second = tmp_path / ("n" * 200 + "1"), tmp_path / ("n" * 200 + "2")
    with whole_file(first) as one, whole_file(second) as two:
        one.write_text("1")
        two.write_text("2")
    assert (first.read_text(), second.read_text()) == ("1", "2")
