"""Interpolation of learned positional embeddings to any patch grid, as each release does it.

Three rules cover the field. They differ by up to 2.6 in the values of a unit-variance embedding,
so a table of segmentation results depends on the choice.

- `offset`: DINO (Caron et al. 2021) and DINOv2 (Oquab et al. 2023) resize bicubically by the
  *scale factor* `(new + 0.1) / old`, without antialiasing.
- `antialias`: DINOv2 with registers (Darcet et al. 2023) and timm resize bicubically to the
  *size*, with antialiasing.
- `size`: transformers (Hugging Face) resizes bicubically to the *size*, without antialiasing, and
  so do the files that were exported from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, cat

PositionRule = Literal["offset", "antialias", "size"]
Grid = tuple[int, int]  # rows and columns, in patches

_OFFSET = 0.1


def check_grid(grid: Sequence[int]) -> Grid:
    """Rows and columns of a grid; `ValueError` for anything but two whole numbers from 1."""
    whole = isinstance(grid, Sequence) and all(type(n) is int and n > 0 for n in grid)
    if not whole or len(grid) != 2:
        raise ValueError(
            f"encoder.grid={grid!r} must be two whole numbers in patches, [rows,columns]"
        )
    return grid[0], grid[1]


def stored_grid(num_positions: int, num_prefix: int, grid: Grid | None = None) -> Grid:
    """Rows and columns behind `num_positions` stored positions: those given, or a square.

    Raises `ValueError` if the positions after `num_prefix` prefix tokens do not fill the grid.
    """
    count = num_positions - num_prefix
    side = math.isqrt(max(count, 0))
    rows, columns = grid or (side, side)
    if count < 1 or rows * columns != count:
        shape = f"a grid of {rows} x {columns}" if grid else "a square grid"
        raise ValueError(
            f"pos_embed holds {num_positions} positions: without {num_prefix} prefix tokens "
            f"they do not fill {shape}; set encoder.grid=[rows,columns] to the grid of its training"
        )
    return rows, columns


def interpolate_position_embedding(
    position_embedding: Tensor,
    grid: Grid,
    rule: PositionRule,
    num_prefix: int = 1,
    old_grid: Grid | None = None,
) -> Tensor:
    """Resize a positional embedding to another patch grid.

    Args:
        position_embedding: `[1, num_prefix + h0 * w0, D]`.
        grid: the wanted `(h, w)` in patches.
        rule: `offset` (DINO, DINOv2), `antialias` (DINOv2 with registers, timm) or `size`
            (transformers).
        num_prefix: leading positions (CLS, registers) that have no place in the grid; kept as
        they are.
        old_grid: `(h0, w0)`; a square is assumed when it is not given.

    Returns:
        `[1, num_prefix + h * w, D]`; the input itself if the grid is already the wanted one.
    """
    old_grid = old_grid or stored_grid(position_embedding.shape[1], num_prefix)
    if grid == old_grid:
        return position_embedding
    prefix, patches = position_embedding[:, :num_prefix], position_embedding[:, num_prefix:]
    patches = patches.float().reshape(1, *old_grid, -1).permute(0, 3, 1, 2)
    if rule == "offset":
        scale = [(new + _OFFSET) / old for new, old in zip(grid, old_grid, strict=True)]
        patches = F.interpolate(patches, scale_factor=scale, mode="bicubic")
    elif rule in ("antialias", "size"):
        smooth = rule == "antialias"
        patches = F.interpolate(patches, size=grid, mode="bicubic", antialias=smooth)
    else:
        raise ValueError(f"position rule {rule!r}: choose 'offset', 'antialias' or 'size'")
    patches = patches.permute(0, 2, 3, 1).flatten(1, 2).to(position_embedding.dtype)
    return cat([prefix, patches], dim=1)
