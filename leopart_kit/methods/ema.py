"""A teacher that follows its student as an exponential moving average."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher's parameters and running statistics towards the student's.

    `teacher = momentum * teacher + (1 - momentum) * student`, in place. Running means and variances
    belong to the weights that they were measured with, and are averaged alike. A teacher in eval
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


@torch.no_grad()
def start_statistics(
    teacher: nn.Module, student: nn.Module, run_student: Callable[[], object]
) -> None:
    """Give both networks the running statistics of the weights they start with.

    PyTorch starts running means at 0 and variances at 1, which fit no network. A slow teacher in
    eval mode would normalise by them for hundreds of steps. Its targets would move although its
    weights hardly do. Statistics that were measured before, as those of a checkpoint, are left to
    training as ever.

    Args:
        teacher: a copy of the student; gets its statistics.
        student: in train mode; its unmeasured statistics become those of one batch.
        run_student: puts a batch through the student.
    """
    norms = [m for m in student.modules() if isinstance(m, _BatchNorm) and _is_unmeasured(m)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # the new statistics alone
    run_student()
    # Under autocast the casts of the weights are kept for the next pass; these carry no gradient.
    torch.clear_autocast_cache()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for copy, source in zip(teacher.buffers(), student.buffers(), strict=True):
        copy.copy_(source)


def _is_unmeasured(norm: _BatchNorm) -> bool:
    """True if running mean and variance are the 0 and 1 that PyTorch starts with."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        return False
    return not bool(mean.any()) and bool((variance == 1).all())
