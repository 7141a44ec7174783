"""What differs between two records, a line each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from .record import Figure, Record

_TOLERANCE = 1e-9
"""Relative; sums in another order differ by 1e-16, another seed by far more."""


def differences(before: Record, after: Record) -> Iterator[str]:
    """`what: before → after` of each figure that changed, is gone or is new."""
    for what in sorted(before.keys() | after.keys()):
        if what not in after:
            yield f"{what}: {_short(before[what])} → gone"
        elif what not in before:
            yield f"{what}: none → {_short(after[what])}"
        else:
            yield from _changes(what, before[what], after[what])


def _changes(what: str, before: Figure, after: Figure) -> Iterator[str]:
    if isinstance(before, list) and isinstance(after, list):
        gone, new = Counter(before) - Counter(after), Counter(after) - Counter(before)
        for row in gone.elements():
            yield f"{what}: {row!r} → gone"
        for row in new.elements():
            yield f"{what}: none → {row!r}"
    elif not _equal(before, after):
        yield f"{what}: {_short(before)} → {_short(after)}"


def _equal(before: Figure, after: Figure) -> bool:
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, int | float) and isinstance(after, int | float):
        both_nan = math.isnan(before) and math.isnan(after)
        return both_nan or math.isclose(before, after, rel_tol=_TOLERANCE, abs_tol=1e-12)
    return before == after


def _short(figure: Figure) -> str:
    return f"{len(figure)} rows" if isinstance(figure, list) else repr(figure)
