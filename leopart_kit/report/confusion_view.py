"""The confusion matrix for the page: rows in percent, and the mix-ups that cost most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leopart_kit.report.pictures import alpha_uri

_MAX_TABLE = 32  # classes; more of them are drawn as a picture
_NUM_MIXUPS = 8
_HEAT = (190, 110, 20)


@dataclass(frozen=True)
class MixUp:
    """`share` percent of the pixels of `truth` were given to `prediction`."""

    truth: str
    prediction: str
    share: float


@dataclass(frozen=True)
class ConfusionView:
    """Row-normalised confusion; `shares` `[rows, columns]` in percent.

    Rows are classes that occur in the ground truth; columns are those plus every class that was
    predicted, and the pixels given to no class where there are some.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    shares: np.ndarray
    diagonal: tuple[int, ...]  # column of each row's own class
    mixups: tuple[MixUp, ...]
    picture: str | None  # data URI, for more classes than a table holds; opacity √share


def confusion_view(confusion: np.ndarray, class_names: Sequence[str]) -> ConfusionView:
    """Prepare counts `[C, C + 1]` (rows: ground truth; last column: no class) for display."""
    names = [*class_names, "no class"]
    rows = np.flatnonzero(confusion.sum(1))
    columns = np.flatnonzero((confusion.sum(0) > 0) | np.isin(np.arange(len(names)), rows))
    counts = confusion[np.ix_(rows, columns)]
    shares = 100 * counts / counts.sum(1, keepdims=True)
    row_names = tuple(names[row] for row in rows)
    column_names = tuple(names[column] for column in columns)
    diagonal = tuple(int(np.searchsorted(columns, row)) for row in rows)
    picture = alpha_uri(np.sqrt(shares / 100), _HEAT) if len(columns) > _MAX_TABLE else None
    mixups = _mixups(shares, diagonal, row_names, column_names)
    return ConfusionView(row_names, column_names, shares, diagonal, mixups, picture)


def _mixups(
    shares: np.ndarray,
    diagonal: Sequence[int],
    rows: Sequence[str],
    columns: Sequence[str],
) -> tuple[MixUp, ...]:
    """The largest shares off the diagonal."""
    wrong = shares.copy()
    wrong[np.arange(len(rows)), diagonal] = 0
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NUM_MIXUPS]
    places = [divmod(int(flat), len(columns)) for flat in order]
    return tuple(
        MixUp(rows[r], columns[c], float(wrong[r, c])) for r, c in places if wrong[r, c] > 0
    )
