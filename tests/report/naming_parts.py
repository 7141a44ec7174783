"""Parts to name, made of coloured squares."""

from __future__ import annotations

import numpy as np

from leopart_kit.data.palettes import cluster_palette
from leopart_kit.report.naming import PartView
from leopart_kit.report.part_crops import Crop, PartPhoto

# Of six parts 1 and 4 are the most alike, then 2 and 3.
ANGLES = np.deg2rad([0, 90, 200, 215, 95, 300])
FEATURES = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def some_parts(number: int = 6, crops: int = 4, side: int = 112) -> list[PartView]:
    """Parts of decreasing size with crops of noise in their colour."""
    rng = np.random.default_rng(0)
    colours = cluster_palette(number)

    def crop(colour: np.ndarray, image: int, row: int) -> Crop:
        noise = rng.normal(0, 20, (side, side, 1))
        picture = (colour + noise).clip(0, 255).astype(np.uint8)
        return Crop.of(picture, f"photo & {image}", image, row, 0)

    return [
        PartView(
            id=index,
            colour=colour,
            share=40 / (index + 1),
            images=np.arange(12 - min(index, 11)),
            best=[crop(colour, image, index) for image in range(crops)],
            uncertain=[crop(colour, image, index) for image in range(crops // 2)],
            feature=FEATURES[index % len(FEATURES)] + index // len(FEATURES),
            community=index // 3 if index % 2 else None,
        )
        for index, colour in enumerate(colours)
    ]


def some_photos(number: int = 6) -> dict[int, PartPhoto]:
    """Two photographs of stripes, as many as there are parts, one below the other."""
    stripes = np.repeat(np.arange(number), 2)[:, None].repeat(8, axis=1)
    image = cluster_palette(number)[stripes].repeat(10, axis=0).repeat(10, axis=1)
    return {index: PartPhoto.of(image, stripes, f"photo & {index}", 2) for index in (0, 1)}
