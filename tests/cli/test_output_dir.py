"""What every command does with its output folder: one run at a time works there."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from leopart_kit.cli.program import COMMANDS
from leopart_kit.whole_file import only_writer
from tests.cli.command import error_of_command

MODULES = [command.module for command in COMMANDS.values()]


@pytest.mark.parametrize("module", MODULES)
def test_a_second_run_in_one_output_dir_ends_in_one_line_and_changes_nothing(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    (out / "config").mkdir(parents=True)
    (out / "config" / "config.yaml").write_text("of: the first\n")
    main = importlib.import_module(f"leopart_kit.{module}").main
    with only_writer(out, "output_dir"):
        line = error_of_command(main, module, [f"output_dir={out}"])
    assert str(out) in line
    assert "output_dir" in line
    assert (out / "config" / "config.yaml").read_text() == "of: the first\n"
