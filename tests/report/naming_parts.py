"""Parts to name, made of coloured squares."""

from __future__ import annotations

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.report.naming import PartView


def some_parts(number: int = 6, crops: int = 4, side: int = 112) -> list[PartView]:
    """Parts of decreasing size with crops of noise in their colour."""
    rng = np.random.default_rng(0)
    colours = cluster_palette(number)

    def crop(colour: np.ndarray) -> np.ndarray:
        noise = rng.normal(0, 20, (side, side, 1))
        return (colour + noise).clip(0, 255).astype(np.uint8)

    return [
        PartView(
            id=index,
            colour=colour,
            share=40 / (index + 1),
            num_images=12 - min(index, 11),
            best=[crop(colour) for _ in range(crops)],
            uncertain=[crop(colour) for _ in range(crops // 2)],
            community=index // 3 if index % 2 else None,
        )
        for index, colour in enumerate(colours)
    ]
