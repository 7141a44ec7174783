"""Imports run one way: a package may import only from packages on a lower level."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "leopart_kit"

LEVELS = [
    {"faults_in_words", "identity", "input_files", "launch", "parts", "whole_file"},
    {"mapped_array", "npz_file", "peak_memory", "processes", "progress", "settings"},
    {"backbones", "data", "metrics"},
    {"clustering", "image_level.data"},
    {"drawing", "image_level.style", "losses"},
    {"methods"},
    {"image_level.networks"},
    {"image_level.methods"},
    {"masks"},
    {"evaluation", "training"},
    {"image_level.evaluation"},
    {"arrays", "report"},
    {"image_level.report"},
    {"bench"},
    {"cli"},
    {"image_level.cli"},
    {"__main__", "demo"},
]
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def level_name(parts: Sequence[str]) -> str:
    """The package of a module; image-level work is a house of its own, with the same storeys."""
    return ".".join(parts[: 2 if parts[:1] in (["image_level"], ("image_level",)) else 1])


# The front door names parts of all packages, and imports none until it is asked.
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path):
    own = level_name(path.relative_to(PACKAGE).with_suffix("").parts)
    for module in imported_modules(path):
        parts = module.split(".")
        target = level_name(parts[1:])
        if parts[0] != "leopart_kit" or target not in LEVEL_OF:
            continue
        assert target == own or LEVEL_OF[target] < LEVEL_OF[own], f"{path} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_knows_hydra(path: Path):
    if "cli" in path.relative_to(PACKAGE).parts:
        return
    roots = {module.split(".")[0] for module in imported_modules(path)}
    assert not roots & {"hydra", "omegaconf"}, f"{path} imports Hydra; config stops at cli/"


def test_every_package_has_a_level():
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert packages <= {name.split(".")[0] for name in LEVEL_OF}
