"""Colours for classes and clusters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_GREY = (125, 124, 122)  # stands out against a light and a dark page alike
# Lightness and chroma in OKLab, and the colour to begin with.
_MUTED = (0.38, 0.9, 0.03, 0.165, (0.62, 0.06, -0.14))
_VIVID = (0.52, 0.82, 0.1, 0.25, (0.63, 0.2, 0.11))


def voc_colormap() -> np.ndarray:
    """The colours of Pascal VOC for ids 0 to 255, uint8 [256, 3].

    The bits of an id are dealt to red, green and blue in turn, each from its highest bit down
    (VOC development kit, `VOClabelcolormap`).
    """
    ids = np.arange(256)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def cluster_palette(num_clusters: int) -> np.ndarray:
    """Colours for clusters: uint8 `[num_clusters, 3]`, as far apart as they can be.

    Colour i does not depend on the number of clusters. Farthest-point selection in OKLab
    (Ottosson 2020) over muted sRGB colours; they repeat after some thousands.

    Raises:
        ValueError: less than one cluster.
    """
    if num_clusters < 1:
        raise ValueError(f"num_clusters must be 1 or more, got {num_clusters}")
    return _first_colours(num_clusters, _MUTED)


def class_palette(class_names: Sequence[str]) -> np.ndarray:
    """Colours for classes on a page, uint8 `[C, 3]`: told apart on light, dark and photographs.

    Vivid where those of `cluster_palette` are muted; `background` is grey. Files of masks have the
    colours of their data set instead.
    """
    colours = _first_colours(max(1, len(class_names)), _VIVID)[: len(class_names)].copy()
    for index, name in enumerate(class_names):
        if name.lower() == "background":
            # The others keep the colours that are farthest apart.
            colours[index + 1 :] = colours[index:-1].copy()
            colours[index] = _GREY
            break
    return colours


def _first_colours(number: int, range_of: tuple) -> np.ndarray:
    size = 256
    while size < number:
        size *= 2
    colours = _farthest_colours(size, range_of)
    return colours[np.arange(number) % len(colours)]


@lru_cache(maxsize=4)
def _farthest_colours(size: int, range_of: tuple) -> np.ndarray:
    darkest, lightest, dullest, brightest, first = range_of
    steps = np.linspace(0, 255, 26).round()
    rgb = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lab = _oklab(rgb / 255)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Neither nearly black nor nearly white, neither neon nor grey.
    usable = (lab[:, 0] > darkest) & (lab[:, 0] < lightest)
    usable &= (chroma < brightest) & (chroma > dullest)
    rgb, lab = rgb[usable], lab[usable]
    chosen = [int(np.linalg.norm(lab - first, axis=1).argmin())]
    distance = np.full(len(lab), np.inf)
    while len(chosen) < min(size, len(lab)):
        distance = np.minimum(distance, ((lab - lab[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    colours = rgb[chosen].astype(np.uint8)
    colours.setflags(write=False)
    return colours


def _oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0 to 1 `[n, 3]` to OKLab `[n, 3]`; matrices from Ottosson (2020)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ to_lab.T
