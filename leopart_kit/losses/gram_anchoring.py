"""Gram anchoring: the similarities between an image's patches stay those of a teacher."""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses.arguments import check_not_empty
from leopart_kit.losses.full_precision import full_precision

Negatives = Literal["keep", "drop", "drop_teacher"]


@full_precision
def gram_anchoring(
    student: Tensor, teacher: Tensor, per_image: bool = True, negatives: Negatives = "keep"
) -> Tensor:
    """Mean squared difference between the cosines of all pairs of patches.

    Args:
        student, teacher: `[B, n, D]`; their widths may differ. The teacher gets no gradient.
        per_image: pairs of one image; False: of the whole batch.
        negatives: cosines below 0 count as they are (`keep`), as 0 in both (`drop`) or as 0 in the
            teacher (`drop_teacher`).

    Returns:
        scalar, 0 where all cosines are the teacher's.

    Raises:
        ValueError: the shapes do not fit each other, nothing to compare, or an unknown name.

    Source: Siméoni et al. (DINOv3), 2025, section 4.2.
    """
    if student.ndim != 3 or teacher.ndim != 3 or student.shape[:2] != teacher.shape[:2]:
        raise ValueError(
            f"student and teacher must be [B, n, D], got {list(student.shape)} and "
            f"{list(teacher.shape)}"
        )
    check_not_empty(student=student, teacher=teacher)
    if negatives not in get_args(Negatives):
        raise ValueError(f"negatives must be keep, drop or drop_teacher, got {negatives!r}")
    rows = [F.normalize(x, dim=-1) for x in (student, teacher.detach())]
    if not per_image:
        rows = [x.flatten(0, 1) for x in rows]
    ours, theirs = (x @ x.mT for x in rows)
    if negatives == "drop":
        ours = ours.clamp(min=0)
    if negatives != "keep":
        theirs = theirs.clamp(min=0)
    return F.mse_loss(ours, theirs)
