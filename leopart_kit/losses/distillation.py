"""Learning a teacher's answers instead of labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from leopart_kit.losses.arguments import check_positive


def distillation_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 8.0
) -> Tensor:
    """`T² · KL(teacher ‖ student)` of the softened distributions, mean over the batch.

    The factor keeps the size of the gradient, which falls with the square of the temperature.

    Args:
        student_logits: `[B, C]`.
        teacher_logits: `[B, C]`; no gradient flows into them.
        temperature: T above; both logits are divided by it.

    Returns:
        scalar, 0 where the two agree.

    Raises:
        ValueError: shapes that differ, or a temperature that is not above 0.

    Source: Hinton, Vinyals & Dean 2015, section 2; Asano & Saeed, "The Augmented Image Prior",
    ICLR 2023.
    """
    if student_logits.shape != teacher_logits.shape or student_logits.ndim != 2:
        raise ValueError(
            f"student and teacher logits must both be [B, C], got {list(student_logits.shape)} "
            f"and {list(teacher_logits.shape)}"
        )
    check_positive(temperature=temperature)
    with torch.autocast(student_logits.device.type, enabled=False):
        student = torch.log_softmax(student_logits.float() / temperature, dim=1)
        teacher = torch.log_softmax(teacher_logits.detach().float() / temperature, dim=1)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence
