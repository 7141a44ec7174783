"""PaKA: the patches of two views must be alike in the same pairs (centred kernel alignment)."""

from __future__ import annotations

import torch
from torch import Tensor

from leopart_kit.losses.full_precision import full_precision

SMALLEST_NORM = 1e-6  # of a squared kernel


@full_precision
def patch_kernel_alignment(
    student: Tensor, teacher: Tensor, ignored: Tensor | None = None
) -> Tensor:
    """Mean over images of 1 - the alignment of the centred kernels of student and teacher.

    The kernel of an image holds the inner products of its patches, cosines where they are of
    length 1 as heads give them. The alignment is 1 where both kernels are alike up to their means
    and scale.

    Args:
        student, teacher: `[B, n, D]`; their widths may differ. The teacher gets no gradient.
        ignored: bool `[B, n]`, patches left out. An image with fewer than two others does not
            count.

    Returns:
        scalar from 0 (up to rounding) to 2; 0 where no image counts.

    Raises:
        ValueError: the shapes do not fit each other.

    Source: "PaKA", arXiv 2509.05606, 2025; Cortes et al., JMLR 2012, section 2.1.
    """
    shape = student.shape[:2]
    if student.ndim != 3 or teacher.ndim != 3 or teacher.shape[:2] != shape:
        raise ValueError(
            f"student and teacher must be [B, n, D], got {list(student.shape)} and "
            f"{list(teacher.shape)}"
        )
    if ignored is None:
        ignored = torch.zeros(shape, dtype=torch.bool, device=student.device)
    elif ignored.shape != shape or ignored.dtype != torch.bool:
        raise ValueError(
            f"ignored must be bool {list(shape)}, got {ignored.dtype} {list(ignored.shape)}"
        )
    counts = ~ignored
    number = counts.sum(dim=1)
    ours, theirs = (_centred_kernel(x, counts, number) for x in (student, teacher.detach()))
    squares = [k.square().sum(dim=(1, 2)).clamp(min=SMALLEST_NORM) for k in (ours, theirs)]
    alignment = (ours * theirs).sum(dim=(1, 2)) / (squares[0].sqrt() * squares[1].sqrt())
    images = number > 1
    return ((1 - alignment) * images).sum() / images.sum().clamp(min=1)


def _centred_kernel(tokens: Tensor, counts: Tensor, number: Tensor) -> Tensor:
    """`[B, n, D]` → products `[B, n, n]` whose counting rows and columns have mean 0; 0 elsewhere.

    The kernel of centred patches is the centred kernel.
    """
    left_out = ~counts[..., None]
    rows = tokens.masked_fill(left_out, 0)  # whatever they hold, NaN included
    mean = rows.sum(dim=1, keepdim=True) / number.clamp(min=1)[:, None, None]
    rows = (rows - mean).masked_fill(left_out, 0)
    return rows @ rows.mT
