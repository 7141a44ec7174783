"""Signs of collapse in patch tokens, without prototypes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_SPREAD = 0.01


@torch.no_grad()
def token_spread(tokens: Tensor) -> Tensor:
    """Scalar, 1 minus the mean cosine of all pairs of tokens `[B, D, h, w]`; 0: all are alike."""
    rows = F.normalize(tokens.float(), dim=1)
    return 1 - rows.mean(dim=(0, 2, 3)).square().sum()


def collapse_of_tokens(spread: float) -> str | None:
    """One line where the tokens have become alike, or None."""
    if spread >= LEAST_SPREAD:
        return None
    return (
        f"the patch tokens have become alike: 1 - their mean cosine is {spread:.4f}. Lower the "
        "learning rate, or raise gram_weight"
    )
