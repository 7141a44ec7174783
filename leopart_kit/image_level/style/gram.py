"""Texture that a layer sees: channels that are active together, wherever that may be."""

from __future__ import annotations

import torch
from torch import Tensor


def gram_matrix(features: Tensor) -> Tensor:
    """Mean products of all pairs of channels, `[B, C, h, w]` → `[B, C, C]`.

    Divided by the number of places, so that images of different sizes can be compared.

    Source: Gatys, Ecker & Bethge, CVPR 2016, equation 3 (there without the division).
    """
    rows = features.flatten(2)
    return torch.bmm(rows, rows.transpose(1, 2)) / rows.shape[2]
