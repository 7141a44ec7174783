"""Folders of the toolkit's YAML."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def config_folder(name: str) -> Path:
    """`configs` or `eval`: inside the installed package, or beside it in a clone."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
