"""Parts that are found by their names: a file of a package, or a class of the user's.

`find_part(["leopart_kit.methods"], "leopart", …)` is the `PART` of that file in that package.
There is no table of names: a new file is a new part. YAML files are found so too.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).parent
_ALIKE, _BEGINNING = 0.7, 0.05  # share of equal letters; what a beginning alone counts less
_FEW = 25
_DECLARES = re.compile(r"^PART\b", re.MULTILINE)


def list_parts(packages: Sequence[str]) -> list[str]:
    """Names of the parts in some packages, ascending; imports none of them."""
    return sorted(name for package in packages for name in _names_in(package))


@cache
def _names_in(package: str) -> tuple[str, ...]:
    folder = Path(str(importlib.import_module(package).__file__)).parent
    places = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    found = (path for path in places if _DECLARES.search(path.read_text(encoding="utf-8")))
    return tuple(p.parent.name if p.stem == "__init__" else p.stem for p in found)


def config_folder(name: str) -> Path:
    """`configs` or `eval`: inside the installed package, or beside it in a clone."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def find_part(packages: Sequence[str], name: str, setting: str) -> Any:
    """The part in one of the packages that has this name.

    Args:
        setting: what the user set to the name, for the error.

    Raises:
        ValueError: there is none; lists those that there are.
    """
    for package in packages:
        if name in _names_in(package):
            return importlib.import_module(f"{package}.{name}").PART
    raise ValueError(unknown_choice(setting, name, list_parts(packages)))


def unknown_choice(setting: str, name: str, known: Sequence[str]) -> str:
    """Error text for a name that is none of those known: the most alike, and all that a line holds.

    Names may be unlike and yet meant: `pascal` is `voc`.
    """
    near = close_names(name, known)
    meant = f"; did you mean {' or '.join(near)}?" if near else ";"
    few = not near or len(known) <= _FEW
    return f"unknown {setting} {name!r}{meant}" + (f" choose one of {', '.join(known)}" * few)


def close_names(name: str, known: Sequence[str]) -> list[str]:
    """At most four names that are like a mistyped one, or begin like it, the most alike first."""

    def likeness(other: str) -> float:
        whole, start = (
            difflib.SequenceMatcher(None, name.lower(), part.lower()).ratio()
            for part in (other, other[: len(name)])
        )
        return max(whole, start - _BEGINNING)

    near = [other for other in known if likeness(other) >= _ALIKE]
    return sorted(near, key=likeness, reverse=True)[:4]


def import_named(factory: str | None, setting: str) -> Any:
    """The object that `package.module:name` names.

    Args:
        setting: where the user wrote it, for the error.

    Raises:
        ValueError: it is not of this form, cannot be imported, or the module has no such name.
    """
    module_name, colon, name = str(factory or "").partition(":")
    if not (module_name and colon and name):
        raise ValueError(f"{setting}={factory}: set {setting}=package.module:name")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ValueError(
            f"{setting}={factory}: {module_name} is a file, and a module is wanted, without .py: "
            f"{setting}={dotted}:{name}, from the folder where that can be imported"
        )
    module = _import_module(module_name, f"{setting}={factory}")
    if not callable(getattr(module, name, None)):
        raise ValueError(f"{setting}={factory}: {module_name} has no function or class {name!r}")
    return getattr(module, name)


def _import_module(name: str, said: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # console scripts do not look where the user stands
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{said}: cannot import {name} ({error}); run where it can be imported or set "
            "PYTHONPATH"
        ) from error
