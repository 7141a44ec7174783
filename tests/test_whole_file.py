from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from leopart_kit.whole_file import whole_file, write_whole_text


def test_a_finished_file_takes_the_place_of_the_old_one(tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text("old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_any_new_file_lets_them_read(tmp_path: Path):
    path = tmp_path / "backbone.safetensors"
    with whole_file(path) as temporary:
        temporary.touch(0o600)
    (tmp_path / "new").touch()
    assert path.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_interrupted_write_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "page.html"
    path.write_text("old")

    def break_off(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(path) as temporary:
        break_off(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "page.html"
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as error, whole_file(path) as file:
        file.write_text("whole")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_told_by_the_name_of_the_file(tmp_path: Path):
    path = tmp_path / "gone" / "page.html"
    with pytest.raises(FileNotFoundError) as error, whole_file(path) as temporary:
        temporary.write_text("text")
    assert error.value.filename == str(path)


def test_a_name_in_another_encoding_shows_its_bytes(tmp_path: Path):
    name = os.fsdecode(b"caf\xe9")  # as the file system gives it
    write_whole_text(tmp_path / "page.html", f"<p>é {name}</p>")
    assert (tmp_path / "page.html").read_bytes().decode() == "<p>é caf\\udce9</p>"


@pytest.mark.parametrize("error", [RuntimeError("unexpected pos"), OSError("9 requested")])
def test_a_full_disk_is_told_whatever_the_library_that_writes_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    path = tmp_path / "head.pt"
    original = Path.open

    def full(file: Path, *arguments: object, **options: object) -> object:
        if file.name.startswith(".head"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(file, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as raised, whole_file(path):
        raise error
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(path))
    monkeypatch.undo()
    with pytest.raises(type(error), match=str(error)), whole_file(path):
        raise error
