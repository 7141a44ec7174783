"""JSON on disk: written whole, and read back only where it is of this release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from leopart_kit.input_files import read_json
from leopart_kit.whole_file import whole_file


def write_json(values: Any, path: Path) -> Path:
    """Write plain JSON values; a number that is not finite is a `ValueError`."""
    # Escaped to ASCII, as names of files that are not UTF-8 have no other form in JSON.
    text = json.dumps(values, indent=1, allow_nan=False)
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def read_versioned(path: Path, what: str, version: int, field: str) -> dict[str, Any]:
    """Read an object with this `schema_version` and this field; `what` names it in errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or nothing of this release.
    """
    if not path.exists():
        raise FileNotFoundError(f"no {what} at {path}")
    values = read_json(path)
    known = isinstance(values, dict) and values.get("schema_version") == version
    if not known or field not in values:
        raise ValueError(f"{path} is no {what} of this release: write it again")
    return values
