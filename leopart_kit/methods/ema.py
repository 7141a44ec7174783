"""A teacher that follows its student as an exponential moving average."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters and running statistics towards the student's.

    `teacher = momentum * teacher + (1 - momentum) * student`, in place. Running means and variances
    belong to the weights that they were measured with, and so are averaged alike; a teacher in eval
    mode then normalises by statistics that fit it. Buffers of whole numbers are copied.

    Args:
        teacher: changed in place.
        student: of the same architecture; a wrapper that renames parameters does not matter.
        momentum: in [0, 1]; 1 leaves the parameters as they are.

    Raises:
        ValueError: if the momentum lies outside [0, 1] or the parameters or buffers of the two do
            not match in number and shape.

    Source: Tarvainen and Valpola, NeurIPS 2017; He et al. (MoCo), CVPR 2020, equation 2; for the
    statistics Cai et al. (EMAN), CVPR 2021, section 3.3.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
    followers: list[Tensor] = list(teacher.parameters())
    leaders: list[Tensor] = list(student.parameters())
    copies, sources = list(teacher.buffers()), list(student.buffers())
    if [p.shape for p in followers + copies] != [p.shape for p in leaders + sources]:
        raise ValueError(
            "teacher and student must have the same parameters and buffers in the same order; "
            "build the teacher as a copy of the student"
        )
    if followers:
        get_ema_multi_avg_fn(momentum)(followers, leaders, None)
    for copy, source in zip(copies, sources, strict=True):
        if copy.is_floating_point():
            copy.lerp_(source, 1 - momentum)
        else:
            copy.copy_(source)
