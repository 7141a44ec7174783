"""The class of every pixel of an image, from its patch tokens."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor

from leopart_kit.backbones.encoder import grid_size
from leopart_kit.masks.part_classes import ClassTable
from leopart_kit.masks.part_model import PartModel
from leopart_kit.masks.upsampling import linear_labels, nearest_labels

Upsampling = Literal["linear", "nearest"]


def label_map(
    model: PartModel,
    table: ClassTable,
    tokens: Tensor,
    size: tuple[int, int],
    patch_size: int,
    upsampling: Upsampling = "linear",
) -> np.ndarray:
    """Class ids int64 `[H, W]`, 0 for none.

    Args:
        tokens: `[h, w, D]` of the image resized to the model's resolution, see `whole_patches`.
        size: `(H, W)` of the labels.
        patch_size: pixels of the resized image that a token covers per side.
        upsampling: `linear` interpolates the scores of the clusters between patches, which gives
            smooth borders; `nearest` repeats each patch's cluster, in squares.

    Raises:
        ValueError: tokens of an image that was not resized to the model's resolution.
    """
    if tuple(tokens.shape[:2]) != grid_size(*model.resolution, patch_size):
        raise ValueError(
            f"{tokens.shape[0]} x {tokens.shape[1]} tokens are not those of an image resized to "
            f"{model.resolution[0]} x {model.resolution[1]} with patches of {patch_size} pixels"
        )
    if upsampling == "linear":
        clusters = linear_labels(model.scores(tokens).numpy(), size)
    else:
        clusters = nearest_labels(model.assign(tokens).numpy(), size)
    return table.of_cluster[clusters]
