"""Label sets: which classes there are, how they are drawn, and how stored ids become classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from leopart_kit.data.errors import UnknownClassError
from leopart_kit.data.image_files import Color
from leopart_kit.data.palettes import cluster_palette, voc_colormap

IGNORE_INDEX = 255


def color_ids(palette: np.ndarray) -> dict[Color, int]:
    """Colour to id of a palette [N, 3]; the first id wins where two share a colour."""
    colors: dict[Color, int] = {}
    for index, (red, green, blue) in enumerate(palette.tolist()):
        colors.setdefault((red, green, blue), index)
    return colors


@dataclass(frozen=True)
class LabelSet:
    """The classes that a data set is scored on.

    `colors` holds one colour a class; without it, the VOC colours are used, or, where class 0 is
    no background, colours as far apart as they can be. Pixels with `IGNORE_INDEX` belong to no
    class.
    """

    name: str
    class_names: tuple[str, ...]
    has_background: bool = False
    colors: tuple[Color, ...] | None = None

    @property
    def palette(self) -> np.ndarray:
        """Colours of indexed masks, uint8 [256, 3]; the ignored index is black or VOC's cream."""
        palette = voc_colormap()
        if not self.has_background:
            palette = cluster_palette(IGNORE_INDEX + 1).copy()
            palette[IGNORE_INDEX] = 0
        if self.colors is not None:
            palette[: len(self.colors)] = self.colors
        return palette


class LabelTable:
    """Maps stored ids to classes by one look-up; an id that is not in the table is an error."""

    def __init__(self, classes: Mapping[int, int], expected: str) -> None:
        """Build the table from `classes` (stored id to class index or 255).

        `expected` says in words which ids a file may hold; it ends the error message.
        """
        self.expected = expected
        self._lowest = min(classes)
        # One cell before the lowest and one after the highest id catch what lies outside.
        self._lookup = np.full(max(classes) - self._lowest + 3, -1, dtype=np.int64)
        for stored, index in classes.items():
            self._lookup[stored - self._lowest + 1] = index

    def __call__(self, ids: np.ndarray, file: object) -> np.ndarray:
        """Stored ids int64 [H, W] to class indices int64 [H, W].

        Raises:
            UnknownClassError: names the file, the first unknown id and what was expected.
        """
        mapped = self._lookup.take(ids - (self._lowest - 1), mode="clip")
        if mapped.min(initial=0) < 0:
            unknown = np.unique(ids[mapped < 0])
            others = f" and {len(unknown) - 1} more unknown ids" if len(unknown) > 1 else ""
            raise UnknownClassError(
                f"{file} holds id {unknown[0]}{others}; expected {self.expected}"
            )
        return mapped


def choose_label_set(
    requested: str | int | None, choices: Sequence[str], dataset: str, default: str
) -> str:
    """The requested label set, or the default; `ValueError` with the choices if unknown.

    A number is taken as a name, since YAML reads `label_set: 27` as one.
    """
    if requested is None:
        return default
    if str(requested) not in choices:
        raise ValueError(
            f"{dataset} has no label set {str(requested)!r}; choose one of {', '.join(choices)}"
        )
    return str(requested)
