"""Faults of values as pydantic finds them, in the words of a message."""

from __future__ import annotations

from typing import Any


def place(item: Any) -> str:
    """Position of a value in a list; pydantic names the branches of a union by texts."""
    return "".join(f"[{step}]" for step in item["loc"][1:] if isinstance(step, int))


_SAID = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "missing": "is missing in the list",
    "string_too_short": "must not be empty",
    "string_type": "must be a text",
    "too_long": "must have at most {max_length} values",
    "too_short": "must not be empty",
    "tuple_type": "must be a list in square brackets",
}


def in_words(item: Any) -> str:
    """A problem that pydantic found, as `must be …`."""
    if item["type"] in _SAID:
        return _SAID[item["type"]].format(**item.get("ctx", {}))
    message = item["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be")
