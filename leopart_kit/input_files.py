"""Files that users hand in: regular ones only, text in UTF-8, JSON and CSV; errors name the file.

Everything here raises `ValueError` or `FileNotFoundError` in one line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

AnyPath = str | os.PathLike[str]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# The longer marks first: UTF-32's begins with UTF-16's.
_OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_MARK = "\ufeff"
_INVISIBLE = f"{_MARK}\u200b\u200c\u200d\u200e\u200f\u2060"


def as_path(value: object, what: str = "a path") -> Path:
    """A path as such, as text or, where its name is a number, as a whole number.

    Raises:
        ValueError: it is of another type or empty; `what` says what it was to be.
    """
    # Where a number is passed on, Python takes it for an open file of the process.
    text = str(value) if type(value) is int else value
    if not isinstance(text, str | os.PathLike) or not str(text).strip() or "\0" in str(text):
        raise ValueError(f"{what} must be a path, got {value!r}")
    return Path(text)


def check_regular(path: AnyPath) -> None:
    """Refuse what is no regular file: a pipe, for one, would be waited for without end.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is a folder, a pipe, a socket or a device, or cannot be looked at.
    """
    path = as_path(path, "a file")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "of another kind")
        raise ValueError(f"{path} is {kind}; give a regular file")


def read_text(path: AnyPath, errors: str = "strict") -> str:
    """A text in UTF-8, with or without a byte-order mark, which is left out.

    Args:
        errors: what to do about bytes that are not UTF-8, as of `bytes.decode`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no regular file, cannot be read, or is in another encoding.
    """
    path = as_path(path, "a file")
    check_regular(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    encoding = next((name for mark, name in _OTHER_MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        encoding = "UTF-16 or no text"
    if encoding is not None:
        raise ValueError(f"{path} is {encoding}; save it as UTF-8")
    try:
        text = content.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not UTF-8 (line {line} holds the byte 0x{content[error.start]:02x}); "
            "save it as UTF-8"
        ) from error
    # Files that were joined have marks further down, too.
    return text.replace(_MARK, "") if _MARK in text else text


def read_lines(path: AnyPath) -> list[str]:
    """The lines of a text without blanks and invisible signs around them; no empty ones.

    Raises: as `read_text`.
    """
    lines = (line.strip().strip(_INVISIBLE).strip() for line in read_text(path).splitlines())
    return [line for line in lines if line]


def read_json(path: AnyPath) -> Any:
    """Content of a JSON file; raises as `read_text`, and `ValueError` where it is not JSON."""
    return parse_json(read_text(path), path)


def parse_json(
    text: str,
    source: object,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """`json.loads` whose every failure is a `ValueError` that names the source of the text."""
    with _json_of(source):
        return json.loads(text, object_pairs_hook=object_pairs_hook)


def parse_json_start(text: str, source: object) -> Any:
    """The JSON value that a text begins with, whatever follows; raises as `parse_json`."""
    with _json_of(source):
        return json.JSONDecoder().raw_decode(text)[0]


@contextmanager
def _json_of(source: object) -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError(f"{source}: not usable JSON, it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{source}: not JSON ({error})") from error


def is_text(value: str) -> bool:
    """True for a text that shows and that UTF-8 can hold, which escapes in JSON need not."""
    return bool(value.strip()) and not any("\ud800" <= sign <= "\udfff" for sign in value)


def read_csv(
    path: AnyPath, columns: Sequence[str], errors: str = "strict"
) -> Iterator[tuple[int, dict[str, str]]]:
    """Number of the line and fields of every row of a CSV file whose first line names columns.

    Args:
        columns: those that must be there; there may be others. A missing field is empty.
        errors: as of `read_text`.

    Raises:
        ValueError: no such column, a row with more fields than columns, or a quote without end;
            otherwise as `read_text`.
    """
    # A quote without end would swallow all later rows without a word, but for `strict`.
    rows = csv.DictReader(io.StringIO(read_text(path, errors), newline=""), strict=True)
    try:
        names = [name.strip() for name in rows.fieldnames or ()]
        missing = [name for name in columns if name not in names]
        if missing:
            raise ValueError(
                f"{path} has no column {missing[0]!r}; its first line must name the columns "
                f"{','.join(columns)}"
            )
        rows.fieldnames = names
        for row in rows:
            _check_fields(path, rows.line_num, row.pop(None, ()))  # type: ignore[call-overload]
            yield rows.line_num, {name: value or "" for name, value in row.items()}
    except csv.Error as error:
        raise ValueError(
            f"{path} line {rows.line_num + 1}: {error}; close every quote, and write one inside "
            "quotes twice"
        ) from error


def _check_fields(path: AnyPath, line: int, beyond: Iterable[str]) -> None:
    """Fields beyond the columns are refused, but for the empty ones that spreadsheets leave."""
    if any(beyond):
        raise ValueError(
            f"{path} line {line} has more fields than the first line has columns; "
            'quote a field with commas: "a dog, running"'
        )
