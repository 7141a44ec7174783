"""`leopart compare` as its tests call it."""

from __future__ import annotations

from pathlib import Path

from leopart_kit.image_level.cli.compare_methods import main
from leopart_kit.image_level.report.method_table import read_method_table
from tests.cli.command import run_command_line

SMALL = (
    "encoder=timm encoder.name=test_vit encoder.weights=random precision=fp32 batch_size=10 "
    "views.global_size=32 views.local_size=16 trainer.max_steps=3 trainer.warmup_steps=0"
)

ONE = "methods={rotnet: null}"


def instead(given: list[str], *changed: str) -> list[str]:
    """The arguments with some of them replaced."""
    return list({a.partition("=")[0]: a for a in (*given, *changed)}.values())


def compare(*arguments: str) -> None:
    run_command_line(main, "leopart compare", arguments)


def rows(tmp_path: Path) -> dict[str, dict]:
    """Rows of the table by method."""
    return {row["method"]: row for row in read_method_table(tmp_path / "out/methods.json")["rows"]}
