from __future__ import annotations

from pathlib import Path

import pytest

from leopart_kit.report.results_json import writable_output_dir


def test_folder_is_created_and_left_empty(tmp_path: Path):
    folder = writable_output_dir(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_file_in_the_place_of_the_folder_is_named(tmp_path: Path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(ValueError, match=r"taken.*output_dir"):
        writable_output_dir(taken)
    with pytest.raises(ValueError, match="taken/below"):
        writable_output_dir(taken / "below")
    assert taken.read_text() == "mine"


def test_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Root may write anywhere, so the refusal is simulated.
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(ValueError, match=rf"cannot write to {tmp_path}: permission denied"):
        writable_output_dir(tmp_path)
