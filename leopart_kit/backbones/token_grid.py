"""The grid of patch tokens in what a user's network returns."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

_DINOV2, _HUGGING_FACE = "x_norm_patchtokens", "last_hidden_state"
# Tokens before the patches: none, CLS, CLS and a distillation token, CLS and 4, 8 or 16 registers.
_PREFIXES = (0, 1, 2, 5, 9, 17)


def token_grid(output: object, batch: int, embed_dim: int, grid: tuple[int, int]) -> Tensor:
    """Patch tokens `[B, D, h, w]` of a network's output.

    Args:
        output: `[B, D, h, w]` or `[B, h * w, D]`; or what DINOv2's `forward_features` and the
            models of Hugging Face return, whose CLS and registers are left out.
        batch, embed_dim, grid: B, D and `(h, w)` that are expected.

    Raises `ValueError`, which says what the output is, for anything else.
    """
    rows, columns = grid
    tokens, where = _find_tokens(output)
    if where == _HUGGING_FACE and tokens.ndim == 3:
        tokens = _without_prefix(tokens, rows * columns)
    if tokens.shape == (batch, rows * columns, embed_dim):
        tokens = tokens.transpose(1, 2).unflatten(2, grid)
    wanted = (batch, embed_dim, rows, columns)
    if tokens.shape != wanted or not tokens.is_floating_point():
        raise ValueError(
            f"returned {where or 'a tensor'} of shape {list(tokens.shape)}, {tokens.dtype}: "
            f"expected floating point numbers {list(wanted)} or "
            f"[{batch}, {rows * columns}, {embed_dim}] (no CLS, no registers)"
        )
    return tokens


def token_side(output: object, batch: int) -> tuple[int, int]:
    """Tokens a side and channels D of the output of a network on square images.

    Raises ``ValueError`` for an output that holds no square grid of patch tokens.
    """
    tokens, where = _find_tokens(output)
    shape = tuple(tokens.shape)
    if len(shape) == 4 and shape[0] == batch and shape[2] == shape[3]:
        return shape[2], shape[1]
    if len(shape) == 3 and shape[0] == batch:
        for prefix in _PREFIXES if where == _HUGGING_FACE else (0,):
            side = math.isqrt(max(shape[1] - prefix, 0))
            if side and side * side == shape[1] - prefix:
                return side, shape[2]
    raise ValueError(
        f"returned {where or 'a tensor'} of shape {list(shape)}, which is no square grid "
        f"[{batch}, D, h, h] or [{batch}, h * h, D] of patch tokens (no CLS, no registers)"
    )


def _find_tokens(output: object) -> tuple[Tensor, str]:
    """The tensor with the patch tokens, and the key under which it stood."""
    if isinstance(output, Tensor):
        return output, ""
    entries = dict(output) if isinstance(output, Mapping) else {}
    if hasattr(output, _HUGGING_FACE):
        entries.setdefault(_HUGGING_FACE, getattr(output, _HUGGING_FACE))
    for key in (_DINOV2, _HUGGING_FACE):
        if isinstance(entries.get(key), Tensor):
            return entries[key], key
    keys = f" with the keys {', '.join(map(str, entries))}" if entries else ""
    raise ValueError(
        f"returned a {type(output).__name__}{keys}: return the patch tokens alone, or a dictionary "
        f"that has them under {_DINOV2} or {_HUGGING_FACE}"
    )


def _without_prefix(tokens: Tensor, count: int) -> Tensor:
    extra = tokens.shape[1] - count
    if extra not in _PREFIXES:
        raise ValueError(
            f"returned {_HUGGING_FACE} of {tokens.shape[1]} tokens for {count} patches: check its "
            "patch_size, or return the patch tokens alone"
        )
    return tokens[:, extra:]
