"""JSON that can hold the name of any file."""

from __future__ import annotations

import json
from typing import Any


def json_text(value: Any) -> str:
    """One line of JSON, readable: other signs than ASCII are written as they are.

    Names of files that are not UTF-8 are the exception. Their bytes are written as escapes of
    lone surrogates (`\\udce9`), from which Python's readers get the name of the file again.
    """
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
