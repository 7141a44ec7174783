"""Signs of collapse in patch tokens, without prototypes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_SPREAD = 0.01
LEAST_DIRECTIONS = 3


@torch.no_grad()
def token_spread(tokens: Tensor) -> Tensor:
    """Scalar, 1 minus the mean cosine of all pairs of tokens `[B, D, h, w]`; 0: all are alike."""
    rows = F.normalize(tokens.float(), dim=1)
    return 1 - rows.mean(dim=(0, 2, 3)).square().sum()


@torch.no_grad()
def token_directions(tokens: Tensor) -> Tensor:
    """Scalar from 1 to D, the number of directions that tokens `[B, D, h, w]` point in.

    That is 1 over the mean squared cosine of all pairs; an opposite direction is the same.
    """
    rows = F.normalize(tokens.float(), dim=1).transpose(0, 1).flatten(1)
    return rows.shape[1] ** 2 / (rows @ rows.T).square().sum()


def collapse_of_tokens(spread: float) -> str | None:
    """One line where the tokens have become alike, or None."""
    if spread >= LEAST_SPREAD:
        return None
    return (
        f"the patch tokens have become alike: 1 - their mean cosine is {spread:.4f}. Lower the "
        "learning rate, or raise gram_weight"
    )
